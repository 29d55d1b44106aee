"""Whether a role lives and whether it does its work: what /healthz and /readyz answer."""

from __future__ import annotations


class Health:
    """What a role waits for before it does its work, in words.

    A role says `waits("kafka", "no answer from 127.0.0.1:9092")` and takes it back by `works("kafka")`.
    Alive (/healthz) is whoever answers at all; ready (/readyz) is whoever waits for nothing. What goes wrong while the
    work goes on is said too, by `suffers("lag", "actions-2 is read 312 s late")` until `thrives("lag")`.
    """

    __slots__ = ("_suffering", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {"start": "starting"}
        self._suffering: dict[str, str] = {}

    def waits(self, part: str, words: str) -> None:
        """Say that `part` keeps the role from its work, and why."""
        self._waiting[part] = words

    def works(self, part: str) -> None:
        """Say that `part` is as it should be."""
        self._waiting.pop(part, None)

    def suffers(self, part: str, words: str) -> None:
        """Say what is wrong with `part`, which does not keep the role from its work, and what to do."""
        self._suffering[part] = words

    def thrives(self, part: str) -> None:
        """Say that nothing is wrong with `part`."""
        self._suffering.pop(part, None)

    @property
    def ready(self) -> bool:
        """Whether nothing is waited for."""
        return not self._waiting

    def words(self) -> str:
        """One line for each thing waited for, or `ready`; then one for each that is wrong all the same."""
        waiting = [f"{part}: {words}" for part, words in sorted(self._waiting.items())]
        return "\n".join(
            [*(waiting or ["ready"]), *(f"{part}: {words}" for part, words in sorted(self._suffering.items()))]
        )

    def __repr__(self) -> str:
        return f"<Health {self.words()!r}>"
