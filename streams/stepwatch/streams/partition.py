"""What one partition knows between batches, and what the batch at hand has touched."""

from __future__ import annotations

from collections.abc import Iterable

from stepwatch.schemas.keys import subject_key
from stepwatch.streams.alerting import Alerting
from stepwatch.streams.effects import Effects
from stepwatch.streams.facts import Action, Fact, Key
from stepwatch.streams.judge import Judge
from stepwatch.streams.ledger import ActionKeys, Ledger
from stepwatch.streams.limits import SIGNS_MAX, SUBJECTS_CACHED_MAX
from stepwatch.streams.liveness import Liveness
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.touching import spans_of
from stepwatch.streams.waiting import Deadlines, SubjectKey

Named = tuple[SubjectKey, Key]
"""One event of one subject."""


class Partition:
    """The memory of one partition.

    Attributes:
        actions_us, evidence_us: log times of the two inputs; -1 before the first record.
        both_us: what both inputs have reached: closes and forgetting go by it.
        first_log_us: the first log time of `authentications`, or None.
        withheld: actions whose last decision is not published yet, with the log time from which it will be.
        blind: open actions that some source's silence leaves undecided.
        anchored: event -> patterns that hold at it now; an event at which none does is missing.
        silent: source -> (alert id, member id) of the silence that it is in.
        rebucketed: actions whose arrival turned out earlier, and that may belong to another alert by it.
        overloaded: actions whose `overload` was just said; nothing can change it, so they are let go.
        news: what the batch at hand has added, by subject.
        again: actions that the batch at hand must judge again for another reason.
        stragglers: subjects of records that were moved here after what they may concern had closed, with the
            earliest arrival of these.
        decided_at: the wall clock of the batch at hand, as rows show it.
        plain_rest: what its rows of actions that no policy matches have in common.
        keys: of the actions that are kept or remembered, where the native core reads; set before anything is known.
        writes: what the batch at hand changes in the state topic; the last word on a key counts.
    """

    def __init__(self, sets: PolicySets, *, signs_max: int = SIGNS_MAX) -> None:
        """Nothing known yet; `signs_max`: see `Liveness`."""
        self.sets = sets
        self.ledgers: dict[SubjectKey, Ledger] = {}
        self.liveness = Liveness(signs_max)
        self.judge = Judge(sets, self.liveness)
        self.alerting = Alerting()
        self.actions_us = -1
        self.evidence_us = -1
        self.both_us = -1
        self.first_log_us: int | None = None
        self.due = Deadlines()
        self.closing = Deadlines()
        self.going = Deadlines()
        self.alert_moments = Deadlines()
        self.withheld: dict[Named, int] = {}
        self.blind: set[Named] = set()
        self.anchored: dict[Named, set[str]] = {}
        self.silent: dict[str, tuple[str, str]] = {}
        self.overloaded: list[Named] = []
        self.news: dict[SubjectKey, list[Fact | Action]] = {}
        self.again: dict[SubjectKey, set[Key]] = {}
        self.stragglers: dict[SubjectKey, int] = {}
        self.rebucketed: set[Named] = set()
        self.writes: dict[bytes, bytes | Action | None] = {}
        self.effects = Effects()
        self.decided_at = ""
        self.plain_rest = b""
        self.keys: ActionKeys | None = None
        self._keys: dict[SubjectKey, bytes] = {}
        self.use(sets)

    def use(self, sets: PolicySets) -> None:
        """Judge by these sets from now on."""
        self.sets = self.judge.sets = sets
        self.spans = spans_of(sets)
        self.liveness.watch(
            (source.name, source.silent_after_us)
            for policy_set in sets.sets
            for source in policy_set.sources.values()
            if source.silent_after_us is not None
        )

    def key(self, subject: SubjectKey) -> bytes:
        """The key of a subject's output records, from a bounded cache."""
        key = self._keys.get(subject)
        if key is None:
            if len(self._keys) >= SUBJECTS_CACHED_MAX:
                self._keys.clear()
            key = self._keys[subject] = subject_key(*subject)
        return key

    def reach(self, actions_us: int, evidence_us: int) -> None:
        """Note the log times of the inputs."""
        self.actions_us, self.evidence_us = actions_us, evidence_us
        self.both_us = min(actions_us, evidence_us)

    def ledger(self, subject: SubjectKey) -> Ledger:
        """The ledger of a subject, made where there is none."""
        ledger = self.ledgers.get(subject)
        if ledger is None:
            ledger = self.ledgers[subject] = Ledger(*subject, self.keys)
        return ledger

    def judge_again(self, named: Iterable[Named]) -> None:
        """Have these actions judged when the batch ends."""
        for subject, key in named:
            self.again.setdefault(subject, set()).add(key)
