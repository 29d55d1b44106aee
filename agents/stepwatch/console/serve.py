"""The console as a process, and who may come in."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Final

from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.settings import Settings
from stepwatch.console.app import build_app
from stepwatch.console.service import Console
from stepwatch.console.users import read_users
from stepwatch.ingest.connections import Bounds
from stepwatch.ingest.serving import LOOPBACK, Site, listen, run_role, serve

_HEAD_S: Final = 10.0
_WRITE_S: Final = 30.0
_IDLE_S: Final = 30


def main(settings: Settings, tell: Callable[[str], None]) -> int:
    """Run the console as this process; returns the exit status.

    Args:
        settings: as set.
        tell: takes the address and the token, for the person who started it; never a log.
    """
    for name in ("clickhouse_connect", "urllib3.connectionpool"):
        # They report what is tried again as if it were lost; what stays wrong is said on the page.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return run_role(settings, "console", lambda: _run(settings, tell))


async def _run(settings: Settings, tell: Callable[[str], None]) -> int:
    token, site = _token_of(settings), site_of(settings)
    listener, console = listen(site, backlog=512), Console(settings, token)
    tell(site.address)
    if token and settings.console_token is None:
        tell(f"token: {token}")
    # Its streams end by themselves only when their browser goes.
    try:
        return await serve(site, build_app(console), listener, console.parts(), console.changes.close)
    finally:
        console.tables.close()


def _token_of(settings: Settings) -> str:
    """What opens the console; `""` where people have passwords.

    Raises:
        UsersRefused: the password file cannot be used.
        SettingWrong: others reach the address, and nobody has a password.
    """
    if read_users(settings.console_users_path):
        return ""
    if settings.console_host not in LOOPBACK:
        raise SettingWrong(
            f"STEPWATCH_CONSOLE_HOST={settings.console_host} can be reached by others, and nobody has a password yet: "
            "`stepwatch console passwd NAME --role admin --tenant '*'`, then start it again"
        )
    said = settings.console_token
    return said.get_secret_value() if said is not None else secrets.token_urlsafe(24)


def site_of(settings: Settings) -> Site:
    """Where the console is."""
    return Site(
        "console",
        settings.console_host,
        settings.console_port,
        settings.console_tls_cert,
        settings.console_tls_key,
        at_stake="passwords",
        bounds=Bounds(_HEAD_S, _WRITE_S, settings.console_connections),
        idle_s=_IDLE_S,
    )
