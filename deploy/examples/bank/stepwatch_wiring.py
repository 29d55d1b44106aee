"""All that this bank has of Stepwatch: what it reports, whose codes it takes, and which deed needs a proof first."""

from functools import partial
from pathlib import Path

from stepwatch.sdk import Actions, AsgiContext, KafkaReporter, Reporter, Resource, Source, current
from stepwatch.sdk.assurance import LocalAssurance
from stepwatch.sdk.otp import FernetSecrets, NotEnrolled, OtpVerifier, SqliteOtpStore
from stepwatch.sdk.stepup import StepUpNeed, require_step_up

from .payouts import Payout, StepUpRequired

BANK = Source("/bank", tenant="bank")
APPROVE, REASON, MAX_AGE_S = "payments.payout.approve", "amount_over_limit", 30
ask = partial(require_step_up, APPROVE, max_age=f"{MAX_AGE_S}s", amr_any=["otp"], binding="transaction", reason=REASON)
open_reporter = partial(KafkaReporter, heartbeat=BANK)
with_context = AsgiContext


class Stepwatch:
    """The two ways to pay, of which the old one forgets to ask; what the new one asks; and the codes."""

    def __init__(self, reporter: Reporter, store: Path, key: str) -> None:
        self._known = LocalAssurance()
        self.report = self._known.then(reporter.report)
        kept, sealed = SqliteOtpStore(store), FernetSecrets([key])
        self.otp = OtpVerifier(source=BANK, report=self.report, store=kept, secrets=sealed, issuer="Example Bank")
        self._actions = Actions(reporter, BANK, denied=(StepUpRequired, NotEnrolled))
        reported = self._actions.performs(APPROVE, resource=_resource, transaction=Payout.transaction)
        self.pay_by_the_old_route = reported(Payout.pay)

    def pay(self, payout: Payout) -> None:
        """Let it leave the bank, if whoever is signed in has just proved that they want exactly this."""
        about, who = payout.transaction(), current().subject or ""
        with self._actions.performing(APPROVE, resource=_resource(payout), transaction=about) as performing:
            if payout.is_large:
                need = self.need(payout)
                performing.add(decision=need.decision, verification=need.verification)
                if need.required:
                    self.report(BANK.stepup_required(subject=who, reason=REASON, decision=need.decision))
                    asked = self.otp.challenge(who, reason=REASON, action=APPROVE, transaction=about)
                    raise StepUpRequired(payout.id, asked, need.headers)
            payout.pay()

    def need(self, payout: Payout) -> StepUpNeed:
        """What is known about a proof of this very payout, by whoever is signed in."""
        who, about = current(), payout.transaction()
        return ask(
            transaction=about, subject=who.subject or "", session=who.session, assurance=self._known, tenant="bank"
        )


def _resource(payout: Payout) -> Resource:
    return Resource("payout", payout.id, "critical" if payout.is_large else "low")
