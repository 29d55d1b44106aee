"""Who has proved what lately, asked of Stepwatch itself: `GET /v1/assurance` (contract section 9).

It knows what every process and the identity provider reported, revocations too. The call waits for the answer: in a
coroutine have it made by `asyncio.to_thread(require_step_up, ...)`. Needs `stepwatch[sdk]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast, get_args
from urllib.parse import quote

import msgspec

from stepwatch.schemas.times import parse_time
from stepwatch.sdk.assurance import Kind, Proof
from stepwatch.sdk.background import check_positive
from stepwatch.sdk.bearer import NoToken
from stepwatch.sdk.http_client import Answer, HttpClient, NoAnswer

if TYPE_CHECKING:
    from ssl import SSLContext

_CONNECTIONS: Final = 10
"""Kept open; more threads may ask at once all the same."""
_SHOWN_MAX: Final = 300


class AssuranceUnknown(Exception):
    """Nobody can say what was proved; says why. `require_step_up` then demands a proof."""


class _Verification(msgspec.Struct):
    verification: str
    kind: str
    at: str
    time: str
    amr: tuple[str, ...] = ()
    acr: str = ""
    session: str = ""
    root_session: str = ""
    bound_action: str = ""
    transaction: str = ""
    credential: str = ""


class _Assurance(msgspec.Struct):
    verifications: list[_Verification]


class HttpAssurance:
    """The `Assurance` of `stepwatch ingest`. Safe for threads and forks.

    Args:
        url, token, token_file, ssl_context: as of `HttpReporter`; the token must be one that may read.
        timeout_s: for the connection, and again for the whole answer, however slowly it comes; an action waits for
            it, and before that for the system to find the server's name.

    Raises:
        ValueError: an argument is wrong; it is named.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        timeout_s: float = 0.5,
        ssl_context: SSLContext | None = None,
    ) -> None:
        check_positive(timeout_s=timeout_s)
        self._client = HttpClient(
            url,
            token=token,
            token_file=token_file,
            timeout_s=timeout_s,
            connections=_CONNECTIONS,
            ssl_context=ssl_context,
        )

    def __repr__(self) -> str:
        return f"HttpAssurance({self._client.at!r})"

    def proofs(self, tenant: str, subject: str) -> Sequence[Proof]:
        """As `Assurance.proofs`.

        Raises:
            AssuranceUnknown: the server could not be asked in time, or does not know.
        """
        path = f"/v1/assurance/{_segment(tenant)}/{_segment(subject)}"
        try:
            answer = self._client.ask("GET", path, headers={"Accept": "application/json"})
        except (NoAnswer, NoToken) as error:
            raise AssuranceUnknown(str(error)) from None
        if answer.status != 200:
            raise AssuranceUnknown(f"{self._client.at} answered {answer.status}: {_shown(answer)}")
        try:
            found = msgspec.json.decode(answer.body, type=_Assurance).verifications
            return tuple(proof for one in found if (proof := _proof(one)) is not None)
        except (msgspec.MsgspecError, ValueError) as error:
            raise AssuranceUnknown(f"{self._client.at} said what is no assurance: {error}") from None


def _segment(text: str) -> str:
    """One part of a path; of dots alone too, which would else be taken for the folder above."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _proof(one: _Verification) -> Proof | None:
    if one.kind not in get_args(Kind):
        # Of a newer server: what it would prove is not known here.
        return None
    return Proof(
        verification=one.verification,
        kind=cast(Kind, one.kind),
        at_us=_time_us("at", one.at),
        time_us=_time_us("time", one.time),
        amr=one.amr,
        acr=one.acr,
        session=one.session,
        root_session=one.root_session,
        bound_action=one.bound_action,
        transaction=one.transaction,
        credential=one.credential,
    )


def _time_us(name: str, text: str) -> int:
    time_us = parse_time(text)
    if time_us is None:
        raise ValueError(f"{name}: expected RFC 3339 with a zone, got {text[:60]!r}")
    return time_us


def _shown(answer: Answer) -> str:
    return repr(answer.body[:_SHOWN_MAX].decode("utf-8", "replace"))
