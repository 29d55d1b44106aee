"""Which loopback ports the servers use: the usual ones, or the next free ones, kept for the next start."""

from __future__ import annotations

import itertools
import json
import secrets
import socket
from typing import Final

from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder

HOST = "127.0.0.1"
_NEARBY = 50
"""How many ports above the usual one are tried before any free one will do."""
_FOR_SERVERS: Final = range(10_000, 32_000)
"""Below those that a system gives to outgoing connections (Linux from 32,768, others from 49,152 on)."""
_turn = itertools.count(secrets.randbelow(len(_FOR_SERVERS)))
"""Where this process looks next: two that look at once begin far from each other."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As both servers do; without it a port that was just closed counts as taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """Some free loopback port, another at each call, that no outgoing connection takes while its server is down."""
    tries = (_FOR_SERVERS[next(_turn) % len(_FOR_SERVERS)] for _ in _FOR_SERVERS)
    port = next((port for port in tries if is_free(port)), None)
    if port is None:
        raise EmbeddedError("no_port", f"no port of {HOST} from {_FOR_SERVERS[0]} to {_FOR_SERVERS[-1]} is free.")
    return port


def choose(folder: DataFolder, name: str, usual: int | None, *, wanted: int | None = None) -> int:
    """The port for a server, written down in the folder.

    Args:
        folder: whose `ports.json` keeps the choice.
        name: of the listener, e.g. `kafka`.
        usual: the port that people expect; None: they expect none. Servers that start at once would race for one.
        wanted: this port and no other; None: the one of last time, the usual one, or another.

    Raises:
        EmbeddedError: the wanted port is taken.
    """
    kept = chosen(folder)
    if wanted is not None:
        if not is_free(wanted):
            raise EmbeddedError(
                "port_taken",
                f"port {wanted} of {HOST}, wanted for {name}, is taken by another process. "
                "Stop that process, or leave the port open: a free one is then chosen.",
                retriable=True,
            )
        port = wanted
    else:
        others = set(kept.values()) - {kept.get(name)}
        tries = [kept[name]] if name in kept else []
        if usual is not None:
            tries += [p for p in range(usual, usual + _NEARBY) if p not in others]
        port = next((p for p in tries if is_free(p)), 0) or any_free()
    if kept.get(name) != port:
        kept[name] = port
        target = folder.path / "ports.json"
        draft = target.with_suffix(".new")
        draft.write_text(json.dumps(kept) + "\n")
        draft.replace(target)
    return port


def chosen(folder: DataFolder) -> dict[str, int]:
    """The ports that were chosen at the last start, by listener."""
    try:
        kept = json.loads((folder.path / "ports.json").read_text())
        return {str(name): int(port) for name, port in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
