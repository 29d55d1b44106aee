"""Which addresses may be connected to: every answer of the resolver is looked at, and one of those is used."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port -> addresses, as text; raises OSError where there are none."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
"""Translators within one network (RFC 8215): what is behind them is not the public internet."""
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given to the public internet; what is outside is a translator's (NAT64) or nobody's."""
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocols' own (RFC 6890)
            "192.88.99.0/24",  # relays of 6to4, given up (RFC 7526)
            "168.63.129.16/32",  # what every machine of Azure is served by
            "3fff::/20",  # documentation (RFC 9637)
            "5f00::/16",  # segment routing (RFC 9602)
        ),
    )
)
"""What the standard library of some version takes for public, and is not."""
_ISATAP = (0x00005EFE, 0x02005EFE)
"""Halves of interface ids behind which an IPv4 address follows (RFC 5214)."""
_ANSWERS_MAX = 4
"""More addresses of one host are not tried: a delivery has one deadline."""


class AddressRefused(Exception):
    """A host's address is none that we connect to; the message names host and address."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host by the system's resolver, in its order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet.

    An IPv4 address that hides in an IPv6 one (mapped, NAT64, 6to4, Teredo, ISATAP) counts as itself: through a
    translator `64:ff9b::a00:1` is 10.0.0.1. What is no address, or has a zone, is not public.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return all(map(_is_public, (address, *_hidden(address))))


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or any(address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped is not None:
        return True
    return address in _GLOBAL_UNICAST or address in _NAT64


def _hidden(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    if address.scope_id is not None or address in _NAT64_LOCAL:
        return [ipaddress.IPv4Address(0)]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    found: list[Address] = []
    if address in _NAT64 or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    return found


async def checked(host: str, port: int, *, allow_private: bool, resolver: Resolve = resolve) -> list[str]:
    """The addresses of a host to connect to, resolved once.

    Args:
        host, port: of the URL; a host may be an address.
        allow_private: whether addresses that are not public may be connected to.
        resolver: of names.

    Raises:
        AddressRefused: any of the answers is not public and may not be used: one bad answer among good ones is how a
            name is turned against us.
        OSError: the name has no address.
    """
    found = await resolver(host, port)
    if not allow_private:
        for address in found:
            if not is_public(address):
                raise AddressRefused(f"{host} is {address}, which is not an address of the public internet")
    if not found:
        raise OSError(f"{host} has no address")
    return found[:_ANSWERS_MAX]
