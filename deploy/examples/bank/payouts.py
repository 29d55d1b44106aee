"""What the bank deals in: payouts that wait for somebody's word, and nothing of how that is proved."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LARGE_CENTS: Final = 1000_00
"""From this amount on a payout needs a proof first."""
_WAITING = 4
_PAID_MAX: Final = 3
"""So many paid ones are still shown."""
_PAYEES = (
    ("Harbour Timber Ltd", 4_850_00),
    ("Nordlys Catering", 1_240_00),
    ("Corner Coffee", 12_50),
    ("Atlas Machine Works", 23_900_00),
    ("Weber & Sons Roofing", 7_315_00),
    ("Blue Kiosk", 48_20),
)


class AlreadyPaid(Exception):
    """This payout has left the bank."""


class StepUpRequired(PermissionError):
    """A proof is needed first.

    Attributes:
        payout: id of the payout.
        challenge: whatever the verifier asks.
        headers: of the answer.
    """

    def __init__(self, payout: str, challenge: Any, headers: Mapping[str, str]) -> None:
        super().__init__(f"payout {payout} needs a proof")
        self.payout, self.challenge, self.headers = payout, challenge, headers


@dataclass(slots=True)
class Payout:
    """One payment out of the bank, by whose id, payee and amount the person says what they want."""

    id: str
    payee: str
    cents: int
    paid: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def is_large(self) -> bool:
        """Whether it needs a proof first."""
        return self.cents >= LARGE_CENTS

    @property
    def amount(self) -> str:
        """As a person reads it: `4,850.00 EUR`."""
        return f"{self.cents / 100:,.2f} EUR"

    def transaction(self) -> str:
        """Hash of what the person is shown (dynamic linking): a proof for it is one for nothing else."""
        shown = ["payments.payout.approve", self.id, self.payee, self.cents]
        return "sha256:" + hashlib.sha256(json.dumps(shown).encode()).hexdigest()

    def pay(self) -> None:
        """Let the money go, once.

        Raises:
            AlreadyPaid: it went before.
        """
        with self._lock:
            if self.paid:
                raise AlreadyPaid(f"payout {self.id} was paid before")
            self.paid = True


class Desk:
    """The payouts of one person: always some that wait, and the last ones that went."""

    def __init__(self, number: int) -> None:
        """A desk; its payouts are numbered from `number` on."""
        self._next = number
        self._lock = threading.Lock()
        self._payouts: list[Payout] = []
        self.payouts()

    def payouts(self) -> list[Payout]:
        """Those that wait, in order, then those that went, the last one first."""
        with self._lock:
            while sum(not payout.paid for payout in self._payouts) < _WAITING:
                payee, cents = _PAYEES[len(self._payouts) % len(_PAYEES)]
                self._payouts.append(Payout(f"po-{self._next}", payee, cents))
                self._next += 1
            waiting = [payout for payout in self._payouts if not payout.paid]
            return waiting + [payout for payout in reversed(self._payouts) if payout.paid][:_PAID_MAX]

    def find(self, payout_id: str) -> Payout | None:
        """The payout of this id, whether it is still shown or not."""
        with self._lock:
            return next((payout for payout in self._payouts if payout.id == payout_id), None)
