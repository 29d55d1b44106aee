"""Alertmanager, by its API v2: one alert per alert id, sent again until it is resolved."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from stepwatch.notifiers.delivery import Answer, Delivery, Outcome, Step
from stepwatch.notifiers.fit import fitted, web_address
from stepwatch.notifiers.http import HttpSender, Reply
from stepwatch.notifiers.secret import ReceiverWrong, Secret
from stepwatch.notifiers.sending import file_missing, json_bytes

DOCUMENTATION = "https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml"
RESEND_EVERY_S = 60.0
"""As Prometheus does: an Alertmanager keeps its alerts in memory only, and forgets them with a restart."""
ALIVE_FOR_S = 3600
"""How long an alert stays if nobody sends it again: an hour without us does not say that it is over."""
LABEL_CHARACTERS_MAX = 200
ANNOTATION_CHARACTERS_MAX = 1000
NAME_CHARACTERS_MAX = 100
FACTS_MAX = 30
"""Ours: Alertmanager has no limits but those of whom it tells."""
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
OURS = {"service": "stepwatch"}


class Alertmanager:
    """One Alertmanager. Of a cluster each is a channel of its own, since they do not share alerts."""

    resend_every_s = RESEND_EVERY_S

    def __init__(
        self,
        name: str,
        url: str,
        sender: HttpSender,
        *,
        bearer: Secret | None = None,
        user: str = "",
        password: Secret | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """An Alertmanager.

        Args:
            name: of the channel.
            url: without `/api/v2`.
            sender: for its address.
            bearer: token; or else
            user, password: of basic authentication.
            now: the wall clock, which Alertmanager goes by.
        """
        self.name = name
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._sender = sender
        self._bearer = bearer
        self._user = user
        self._password = password
        self._now = now

    async def deliver(self, delivery: Delivery) -> Answer:
        """Post the alert, and end those under the same id whose labels have changed since: labels are its identity."""
        try:
            headers, secrets = self._credentials()
        except ReceiverWrong as error:
            return file_missing(error)

        async def ask(method: str, url: str, body: bytes = b"") -> Reply:
            return await self._sender.send(method, url, body=body, headers=headers, secrets=secrets)

        known = await ask("GET", f"{self._url}?{_ours(delivery.key)}")
        if known.answer.outcome is not Outcome.DELIVERED:
            # Asking has put nothing there, whatever became of the question.
            return replace(known.answer, unsent=True)
        now = self._now()
        alert = build_alert(delivery, now)
        ended = [_ended(old, now) for old in _read(known.body) if old["labels"] != alert["labels"]]
        return (await ask("POST", self._url, json_bytes([alert, *ended]))).answer

    async def close(self) -> None:
        await self._sender.close()

    def _credentials(self) -> tuple[dict[str, str], list[str]]:
        if self._bearer is not None:
            token = self._bearer.read()
            return {"Authorization": f"Bearer {token}"}, [token]
        if self._password is not None:
            password = self._password.read()
            basic = b64encode(f"{self._user}:{password}".encode()).decode()
            return {"Authorization": f"Basic {basic}"}, [password, basic]
        return {}, []


def build_alert(delivery: Delivery, now: datetime) -> dict[str, Any]:
    """The alert of a delivery as Alertmanager takes it.

    Args:
        delivery: what to say.
        now: the wall clock: a resolved alert ends now, another in `ALIVE_FOR_S` unless it is sent again.
    """
    message = delivery.message
    labels = {
        "alertname": message.kind,
        "alert_id": delivery.key,
        "severity": message.severity,
        "tenant": message.tenant,
        "policy": message.policy,
        "owner": message.owner,
        **OURS,
    }
    over = delivery.step is Step.RESOLVE
    alert: dict[str, Any] = {
        # An empty label is none to Alertmanager.
        "labels": {name: fitted(value, LABEL_CHARACTERS_MAX) for name, value in labels.items() if value},
        "annotations": _annotations(delivery),
        "endsAt": _time(now if over else now + timedelta(seconds=ALIVE_FOR_S)),
    }
    if message.first_time and not over:
        alert["startsAt"] = message.first_time
    if console := web_address(message.console):
        alert["generatorURL"] = console
    return alert


def _annotations(delivery: Delivery) -> dict[str, str]:
    message = delivery.message
    said = [
        ("summary", message.title),
        ("state", "acknowledged" if delivery.step is Step.ACKNOWLEDGE else ""),
        ("runbook_url", web_address(message.runbook)),
        ("command", message.command),
        *message.facts[:FACTS_MAX],
    ]
    lines = [fitted(line, ANNOTATION_CHARACTERS_MAX) for line in message.lines]
    annotations = {"description": "\n".join(lines)}
    for name, value in said:
        if value:
            annotations.setdefault(_annotation_name(name), fitted(value, ANNOTATION_CHARACTERS_MAX))
    return annotations


def _annotation_name(name: str) -> str:
    """A name as Alertmanager takes it: letters, digits and underscores, the first no digit."""
    cut = _NOT_IN_A_NAME.sub("_", name[:NAME_CHARACTERS_MAX])
    return cut if cut[:1].isalpha() else f"_{cut}"


def _ours(key: str) -> str:
    """The query for the alerts under a key, those of silences and inhibitions too."""
    matchers = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in OURS.items()]
    matchers.append(f"alert_id={json.dumps(fitted(key, LABEL_CHARACTERS_MAX), ensure_ascii=False)}")
    return urlencode([("filter", matcher) for matcher in matchers])


def _read(body: bytes) -> list[dict[str, Any]]:
    """The alerts of an answer; what is none is passed over."""
    try:
        said = json.loads(body)
    except ValueError:
        return []
    alerts = said if isinstance(said, list) else []
    return [alert for alert in alerts if isinstance(alert, dict) and isinstance(alert.get("labels"), dict)]


def _ended(old: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {"labels": old["labels"], "annotations": old.get("annotations", {}), "endsAt": _time(now)}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
