"""The bank's API and its page. Every route that pays goes through `stepwatch_wiring.py`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from stepwatch.schemas.times import SECOND_US, format_time
from stepwatch.sdk import current
from stepwatch.sdk.otp import InvalidChallenge, NotEnrolled

from .answers import Guarded, Problem, answer_problem, read_fields
from .outcomes import Outcomes
from .payouts import AlreadyPaid, Payout, StepUpRequired
from .people import Lobby, Person, Visit
from .stepwatch_wiring import APPROVE, BANK, MAX_AGE_S, Stepwatch, with_context

HERE = Path(__file__).parent
COOKIE = "bank_session"
HOSTS = ("127.0.0.1", "localhost")
LACKING = {
    "stale": "needs a proof: the last one is too old",
    "wrong_binding": "needs a proof: the last one was for another",
}


def new_app(
    stepwatch: Stepwatch,
    outcomes: Outcomes,
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None,
) -> ASGIApp:
    """The application.

    Args:
        stepwatch: the bank's wires.
        outcomes: what the page shows of Stepwatch's verdicts.
        lifespan: what is to run beside it.
    """
    bank = Bank(stepwatch, outcomes)
    app = Starlette(
        routes=[
            Route("/", bank.page),
            Route("/session", bank.sign_in, methods=["POST"]),
            Route("/session", bank.sign_out, methods=["DELETE"]),
            Route("/enrolment", bank.enrol, methods=["POST"]),
            Route("/enrolment/confirm", bank.confirm, methods=["POST"]),
            Route("/phone/scan", bank.scan, methods=["POST"]),
            Route("/payouts/{payout}/pay", bank.pay, methods=["POST"]),
            Route("/payouts/{payout}/prove", bank.prove, methods=["POST"]),
            Route("/old/payouts/{payout}/pay", bank.pay_by_the_old_route, methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guarded), Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))],
        exception_handlers={Problem: answer_problem},
        lifespan=lifespan,
    )
    return with_context(app)


class Bank:
    """One handler for each route."""

    def __init__(self, stepwatch: Stepwatch, outcomes: Outcomes) -> None:
        self._stepwatch = stepwatch
        self._outcomes = outcomes
        self._lobby = Lobby()
        # StrictUndefined: a name misspelt in the template is an error, not an empty place.
        pages = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
        self._template = pages.get_template("page.html")

    async def page(self, request: Request) -> Response:
        """The page as it is now, whole; its script asks again each second."""
        visit = self._lobby.visit(request.cookies.get(COOKIE))
        return HTMLResponse(await run_in_threadpool(self._render, visit))

    def _render(self, visit: Visit | None) -> str:
        if visit is None:
            return self._template.render(people=self._lobby.people.values(), visit=None)
        _know(visit)
        payouts = visit.person.desk.payouts()
        return self._template.render(
            visit=visit,
            enrolled=self._enrolled(visit.person),
            payouts=[(payout, self._state(payout)) for payout in payouts],
            challenged=visit.challenge and visit.person.desk.find(visit.challenge[0]),
            outcomes=self._outcomes.of(visit.person.id),
            away=self._outcomes.away,
        )

    def _state(self, payout: Payout) -> tuple[str, str]:
        """How a payout stands for whoever is signed in: a tone and some words."""
        if payout.paid:
            return "calm", "paid"
        if not payout.is_large:
            return "calm", "needs no proof"
        need = self._stepwatch.need(payout)
        if need.proof is None:
            return "odd", LACKING.get(need.lacking or "", "needs a proof")
        return "good", f"proved; pay until {format_time(need.proof.at_us + MAX_AGE_S * SECOND_US)[11:19]} UTC"

    async def sign_in(self, request: Request) -> Response:
        """Let somebody in by their name alone: the identity provider of this demonstration."""
        (name,) = await read_fields(request, "person")
        person = self._lobby.people.get(name)
        if person is None:
            raise Problem(404, "nobody of that name", f"person: expected one of {', '.join(self._lobby.people)}")
        cookie, visit = self._lobby.enter(person)
        self._stepwatch.report(BANK.session_started(subject=person.id, session=visit.session, amr=["pwd"]))
        answer = JSONResponse({"person": person.id, "session": visit.session}, 201)
        answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict")
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session, and with it what was proved in it."""
        await read_fields(request)
        visit = self._signed_in(request)
        self._lobby.leave(request.cookies[COOKIE])
        self._stepwatch.report(BANK.session_revoked(subject=visit.person.id, session=visit.session))
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE)
        return answer

    async def enrol(self, request: Request) -> Response:
        """Begin to enrol a code generator; the page shows its QR code until the first code confirms it."""
        await read_fields(request)
        visit = self._signed_in(request)
        if await run_in_threadpool(self._enrolled, visit.person):
            raise Problem(409, "enrolled already", "use the code generator that you have")
        visit.enrolment = await run_in_threadpool(self._stepwatch.otp.enrol, visit.person.id)
        return JSONResponse({"credential": visit.enrolment.credential, "uri": visit.enrolment.uri}, 201)

    async def confirm(self, request: Request) -> Response:
        """Take the code generator into use, by its first code."""
        (code,) = await read_fields(request, "code")
        visit = self._signed_in(request)
        if visit.enrolment is None:
            raise Problem(409, "nothing to confirm", "begin to enrol first")
        enrolment = visit.enrolment
        confirm = self._stepwatch.otp.confirm
        try:
            confirmed = await run_in_threadpool(confirm, visit.person.id, enrolment.credential, code)
        except NotEnrolled:
            visit.enrolment = None
            raise Problem(409, "nothing to confirm", "this code generator was confirmed before") from None
        if not confirmed:
            raise Problem(403, "wrong code", "take the code that the phone shows now; after some tries enrol anew")
        visit.enrolment, visit.used_code = None, code
        return JSONResponse({"credential": enrolment.credential}, 201)

    async def scan(self, request: Request) -> Response:
        """Point the phone of this demonstration at the QR code."""
        await read_fields(request)
        visit = self._signed_in(request)
        if visit.enrolment is None:
            raise Problem(409, "nothing to scan", "begin to enrol first")
        visit.person.phone.scan(visit.enrolment.uri)
        return Response(status_code=204)

    async def pay(self, request: Request) -> Response:
        """Let a payout leave the bank; a large one only with a proof of it that is not older than 30 s."""
        return await self._paid(request, self._stepwatch.pay)

    async def pay_by_the_old_route(self, request: Request) -> Response:
        """The same, by a route that was forgotten when the other one learned to ask."""
        return await self._paid(request, self._stepwatch.pay_by_the_old_route)

    async def _paid(self, request: Request, pay: Callable[[Payout], None]) -> Response:
        await read_fields(request)
        visit = self._signed_in(request)
        payout = self._payout(request, visit)
        try:
            await run_in_threadpool(pay, payout)
        except StepUpRequired as asked:
            visit.challenge = (payout.id, asked.challenge)
            raise Problem(
                401, "step-up required", "prove it with a code, then pay again", asked.headers,
                challenge=asked.challenge.token, prove=f"/payouts/{payout.id}/prove",
            ) from None  # fmt: skip
        except NotEnrolled:
            raise Problem(403, "no code generator", "enrol one first") from None
        except AlreadyPaid:
            raise Problem(409, "paid before", "choose another payout") from None
        return JSONResponse({"payout": payout.id, "paid": True})

    async def prove(self, request: Request) -> Response:
        """Take the answer to the challenge of this payout."""
        token, code = await read_fields(request, "challenge", "code")
        visit = self._signed_in(request)
        payout = self._payout(request, visit)
        try:
            result = await run_in_threadpool(
                self._stepwatch.otp.verify,
                token,
                code,
                subject=visit.person.id,
                action=APPROVE,
                transaction=payout.transaction(),
            )
        except InvalidChallenge as refused:
            raise Problem(400, "not the challenge of this payout", f"{refused}; its code was not looked at") from None
        if result or result.outcome == "expired_challenge":
            visit.challenge = None
        if result.outcome == "locked_out":
            wait = {} if result.disabled else {"Retry-After": str(result.retry_after_s)}
            raise Problem(429, "locked out", "too many wrong codes: wait, or enrol anew", wait, failure=result.outcome)
        if not result:
            raise Problem(403, "code refused", result.outcome.replace("_", " "), failure=result.outcome)
        visit.used_code = code
        return JSONResponse({"payout": payout.id, "verification": result.verification})

    def _enrolled(self, person: Person) -> bool:
        return bool(self._stepwatch.otp.credentials(person.id))

    def _signed_in(self, request: Request) -> Visit:
        visit = self._lobby.visit(request.cookies.get(COOKIE))
        if visit is None:
            raise Problem(403, "nobody is signed in", "sign in first: POST /session")
        _know(visit)
        return visit

    def _payout(self, request: Request, visit: Visit) -> Payout:
        payout = visit.person.desk.find(request.path_params["payout"])
        if payout is None:
            raise Problem(404, "no such payout", "the page lists those that wait")
        return payout


def _know(visit: Visit) -> None:
    """Say to the SDK who is signed in, for all that is reported in this request."""
    current().fill(subject=visit.person.id, session=visit.session)
