"""A receiver of one's own gets Standard Webhooks, which the reference library accepts under either key."""

from __future__ import annotations

from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from stepwatch.notifiers.delivery import Delivery, Outcome, Step
from stepwatch.notifiers.webhook import id_of
from tests.notifiers.deliveries import HOSTILE, KEY, LONG, deliver, delivery, of_text, receiver, secret_file
from tests.notifiers.loopback import Got, Says, loopback

NEW = "whsec_bmV3LWtleS1vZi1vdXJzLTAxMjM0NTY3ODk="
OLD = "whsec_b2xkLWtleS1vZi1vdXJzLTAxMjM0NTY3ODk="


def sent(tmp_path: Path, keys: list[str], *deliveries: Delivery, says: Says | None = None) -> list[Got]:
    with loopback(says or Says(204, b"")) as server:
        files = [secret_file(tmp_path, key) for key in keys]
        deliver(receiver(type="webhook", url=server.url + "/in", key_files=files), *deliveries)
        return server.got


@pytest.mark.parametrize("known", [NEW, OLD])
def test_while_keys_rotate_either_key_verifies(known: str, tmp_path: Path) -> None:
    [got] = sent(tmp_path, [NEW, OLD], delivery())
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    event = Webhook(known).verify(got.body, dict(got.headers))
    assert event["data"]["key"] == KEY


def test_a_stranger_or_a_changed_body_does_not_verify(tmp_path: Path) -> None:
    [got] = sent(tmp_path, [NEW], delivery())
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(got.body, dict(got.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(got.body.replace(b"alice", b"carol"), dict(got.headers))


def test_the_id_is_the_same_for_a_copy_and_another_for_each_step_and_version(tmp_path: Path) -> None:
    sents = sent(tmp_path, [NEW], delivery(), delivery(), delivery(Step.UPDATE, version=2), delivery(Step.RESOLVE))
    ids = [got.headers["webhook-id"] for got in sents]
    assert ids == [f"{KEY}.1.trigger", f"{KEY}.1.trigger", f"{KEY}.2.update", f"{KEY}.1.resolve"]


def test_a_key_of_any_characters_makes_a_header_and_no_two_the_same() -> None:
    hostile = [id_of(delivery(key=key)) for key in ("a b", "a%20b", "é", "a\r\nx: y", "")]
    assert len(set(hostile)) == 5
    assert all(each.isascii() and each.isprintable() and " " not in each for each in hostile)


def test_an_event_says_all_that_the_message_says(tmp_path: Path) -> None:
    [got] = sent(tmp_path, [NEW], delivery())
    event = got.json
    assert (event["type"], event["timestamp"]) == ("stepwatch.alert.trigger", "2026-11-24T09:15:00.000000Z")
    data = event["data"]
    assert data["lines"][0] == "the last proof was too old; nearest: security key tap 42 s too old"
    assert {"name": "resource", "value": "payout po_991"} in data["facts"]
    assert (data["severity"], data["kind"], data["policy"]) == ("critical", "unverified_action", "payout-approve")


@pytest.mark.parametrize("text", [LONG, HOSTILE * 1000])
def test_an_event_of_any_text_is_bounded(text: str, tmp_path: Path) -> None:
    [got] = sent(tmp_path, [NEW], of_text(text))
    assert len(got.body) < 512 * 1024


def test_410_ends_the_channel(tmp_path: Path) -> None:
    with loopback(Says(410, b"")) as server:
        webhook = receiver(type="webhook", url=server.url, key_files=[secret_file(tmp_path, NEW)])
        assert deliver(webhook, delivery())[0].outcome is Outcome.DISABLED


def test_an_address_that_is_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    with loopback() as server:
        path = secret_file(tmp_path, server.url + "/token-of-ours")
        webhook = receiver(type="webhook", url_file=path, key_files=[secret_file(tmp_path, NEW)])
        deliver(webhook, delivery())
        assert server.got[0].path == "/token-of-ours"
