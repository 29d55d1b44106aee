"""The routes of the API (contract section 9)."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from stepwatch.agents.metrics import REGISTRY
from stepwatch.ingest import metrics
from stepwatch.ingest.bodies import TOO_SLOW, Hold, read_away, read_body
from stepwatch.ingest.models import Accepted, Assurance, verification_of
from stepwatch.ingest.modes import read_events
from stepwatch.ingest.problems import Problem, away
from stepwatch.ingest.service import NO_SETS, Ingest
from stepwatch.ingest.tokens import Right, Token, TokensRefused
from stepwatch.ingest.verdicts import Verdicts
from stepwatch.schemas.times import format_time

_BEARER = 'Bearer realm="stepwatch"'


def ingest_of(request: Request) -> Ingest:
    """The process that answers."""
    ingest: Ingest = request.app.state.ingest
    return ingest


def token_of(request: Request, right: Right) -> Token:
    """The token of a request.

    Raises:
        Problem: 401 none, or none that is live; 403 it may not do this; 503 the tokens cannot be read.
    """
    said = request.headers.get("authorization", "")
    scheme, _, secret = said.partition(" ")
    if not said or scheme.lower() != "bearer" or not secret.strip():
        detail = "a token is needed: Authorization: Bearer SECRET; `stepwatch token create` makes one"
        raise Problem(401, detail, headers={"WWW-Authenticate": _BEARER})
    try:
        token = ingest_of(request).find_token(secret.strip())
    except TokensRefused as error:
        # The message names a path of this machine, which is the operator's to know.
        raise away(
            "the file of tokens cannot be used, so nobody is let in: the log of this process says why"
        ) from error
    if token is None:
        detail = "the token is not known, or it has expired or was revoked: ask its issuer for another"
        raise Problem(401, detail, headers={"WWW-Authenticate": f'{_BEARER}, error="invalid_token"'})
    if right not in token.may:
        raise Problem(403, f"the token {token.name!r} may {' and '.join(token.may)}, not {right}")
    return token


async def post_events(request: Request) -> Response:
    """Take events: all, or none."""
    ingest = ingest_of(request)
    try:
        token = token_of(request, "post")
        with ingest.held.hold() as hold:
            return JSONResponse((await _take(request, ingest, token, hold)).model_dump(), 202)
    except Problem as problem:
        metrics.REFUSED_EVENTS.inc(len(problem.errors))
        if problem.status != TOO_SLOW:
            await read_away(request, ingest.settings.ingest_body_ms / 1000)
        raise


async def _take(request: Request, ingest: Ingest, token: Token, hold: Hold) -> Accepted:
    body = await read_body(request, hold, ingest.settings.ingest_body_ms / 1000)
    texts = read_events(request.scope["headers"], request.headers.get("content-type", ""), body)
    accepting, sets = ingest.outlet.accepting, ingest.sets
    if accepting is None or sets is None:
        raise away("Kafka was not reached yet: repeat the request soon")
    taken = accepting.take(texts, token, sets, ingest.clock())
    await ingest.outlet.send(taken.records)
    for what, count in taken.counts.items():
        metrics.EVENTS.labels(what).inc(count)
    skipped = taken.skipped.total()
    metrics.EVENTS.labels("skipped").inc(skipped)
    return Accepted(accepted=taken.counts.total(), skipped=skipped, skipped_types=taken.skipped_types())


async def get_assurance(request: Request) -> Response:
    """The live verifications of a subject and their ages."""
    token = token_of(request, "read")
    tenant, subject = _parts(request, 2)
    check_tenant(token, tenant)
    ingest = ingest_of(request)
    sets, now_us = ingest.sets or NO_SETS, ingest.clock()
    proofs, as_of_us = await ingest.follower.read_up_to_now(tenant, sets.at(now_us).canonical(tenant, subject))
    session, root = request.query_params.get("session", ""), request.query_params.get("root_session", "")
    now_us = ingest.clock()
    canonical, facts = proofs.live(tenant, subject, session, root, now_us, ingest.sets or NO_SETS)
    answer = Assurance(
        tenant=tenant,
        subject=canonical,
        as_of=format_time(as_of_us),
        verifications=[verification_of(fact, now_us) for fact in facts],
    )
    return JSONResponse(answer.model_dump(), headers={"Cache-Control": "no-store"})


async def get_action(request: Request) -> Response:
    """The verdict of an action and its revisions."""
    token = token_of(request, "read")
    tenant, source, action_id = _parts(request, 3)
    check_tenant(token, tenant)
    verdicts: Verdicts = request.app.state.verdicts
    verdict = await verdicts.of(tenant, source, action_id)
    return JSONResponse(verdict.model_dump(), headers={"Cache-Control": "no-store"})


async def healthz(request: Request) -> Response:
    """Alive is whoever answers."""
    return PlainTextResponse("alive\n")


async def readyz(request: Request) -> Response:
    """Ready, or what is waited for, in words."""
    health = ingest_of(request).health
    return PlainTextResponse(health.words() + "\n", 200 if health.ready else 503)


async def show_metrics(request: Request) -> Response:
    """Prometheus metrics."""
    metrics.HELD_BYTES.set(ingest_of(request).held.bytes)
    return Response(generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _parts(request: Request, count: int) -> list[str]:
    """The last parts of the path, each unescaped by itself: a source holds slashes, written `%2F`.

    Raises:
        Problem: 400 there are more, or one is no UTF-8 or empty.
    """
    raw: bytes = request.scope["raw_path"]
    parts = raw.split(b"/")[3:]
    if len(parts) != count:
        begin = b"/".join(raw.split(b"/")[:3]).decode()
        raise Problem(400, f"expected {count} parts after {begin}/, got {len(parts)}: write a slash as %2F")
    try:
        said = [unquote_to_bytes(part).decode() for part in parts]
    except UnicodeDecodeError:
        raise Problem(400, "the path is no UTF-8 once its escapes are read") from None
    if not all(said):
        raise Problem(400, "a part of the path is empty")
    return said


def check_tenant(token: Token, tenant: str) -> None:
    """Refuse what is of another tenant.

    Raises:
        Problem: 403.
    """
    if not token.for_tenant(tenant):
        raise Problem(403, f"{tenant[:64]!r} is no tenant of the token {token.name!r}")
