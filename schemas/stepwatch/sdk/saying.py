"""What the SDK says to the application's log, whatever the application's filters and handlers do with it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

LOG: Final = logging.getLogger("stepwatch.sdk")


def say(level: int, words: str, *args: object) -> None:
    """Write one line. A filter or a handler that raises costs the line, and neither an event nor an answer."""
    with suppress(Exception):
        LOG.log(level, words, *args, stacklevel=2)


def say_error(words: str, *args: object) -> None:
    """The same of the exception that is being handled, with its traceback."""
    with suppress(Exception):
        LOG.error(words, *args, exc_info=True, stacklevel=2)
