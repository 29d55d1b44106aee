"""Where alerts are sent: one module per receiver, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stepwatch.notifiers.console import Console
from stepwatch.notifiers.notices import Notice, NotJudged


class Notifier(Protocol):
    """A receiver of notices. A notice may come again after a crash; the alert's id and version tell."""

    @property
    def name(self) -> str: ...

    def tell(self, notice: Notice) -> None:
        """Deliver one notice; raises where it could not, and the notice comes again."""

    def tell_not_judged(self, notice: NotJudged) -> None:
        """Deliver that an event was not judged; as `tell`, and the dead letter's id tells."""


NOTIFIERS: dict[str, Callable[[], Notifier]] = {"console": Console}
"""How each receiver is made, by the name that settings use."""
