"""Whose address a request comes from, behind proxies that say it and others who might."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

UNIX: Final = "unix"
"""Among the trusted proxies: whoever comes through a Unix socket, which has no address."""
_Address = IPv4Address | IPv6Address


class TrustedProxies:
    """The proxies whose `X-Forwarded-For` is believed.

    Anybody may send that header. So it is read from its end, where our own proxies write, and only as far as trusted
    ones reach: the first address that is none of theirs is the client's.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        """Read the networks.

        Args:
            proxies: addresses and networks (`192.0.2.0/24`, `2001:db8::/32`), or `unix`.

        Raises:
            ValueError: one is neither.
        """
        if isinstance(proxies, str):
            raise ValueError(f"trusted_proxies: expected several addresses or networks, got {proxies!r}")
        names = list(proxies)
        self._unix = UNIX in names
        try:
            self._networks = [ip_network(name) for name in names if name != UNIX]
        except ValueError as error:
            raise ValueError(f"trusted_proxies: {error}") from None

    def client_of(self, peer: str | None, forwarded_for: str) -> str | None:
        """The client's address, or None where it is not known.

        Args:
            peer: the other end of the connection; None or "" where it is a Unix socket.
            forwarded_for: the header, all its lines joined by commas; "" where there is none.
        """
        found = _address(peer or "")
        if not (self._is_trusted(found) if peer else self._unix):
            return str(found) if found else None
        for said in reversed(forwarded_for.split(",") if forwarded_for else []):
            hop = _address(said)
            if hop is None:
                # Beyond an unreadable entry nothing is certain: the last address that was is the nearest to the truth.
                break
            found = hop
            if not self._is_trusted(hop):
                break
        return str(found) if found else None

    def _is_trusted(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> _Address | None:
    """An address, with or without a port; one of IPv4 inside IPv6 as IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
