"""Who decides something on the command line."""

from __future__ import annotations

import getpass

from stepwatch.cli.errors import Misused

NAME_MAX = 4000


def named(by: str | None) -> str:
    """Who decides: as said, or the user of this system.

    Raises:
        Misused: nobody is said, and the system does not know; or the name is too long.
    """
    try:
        name = getpass.getuser() if by is None else by
    except (OSError, KeyError, ImportError) as error:
        raise Misused("this system does not say who you are: name yourself with --by NAME") from error
    if not name.strip() or len(name) > NAME_MAX:
        raise Misused(f"--by: expected a name of 1 to {NAME_MAX:,} characters")
    return name
