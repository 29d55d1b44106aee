"""People are told by e-mail, through apprise and a real SMTP server, in plain text."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from stepwatch.notifiers.delivery import Outcome, Step
from stepwatch.notifiers.people import LINE_CHARACTERS_MAX, TITLE_CHARACTERS_MAX, People, build_text
from stepwatch.notifiers.secret import ReceiverWrong, Secret
from tests.notifiers.deliveries import HOSTILE, KEY, LONG, deliver, delivery, of_text, receiver, secret_file
from tests.notifiers.loopback import loopback
from tests.notifiers.mailbox import mailbox


def address(port: int) -> str:
    """Of an e-mail account, as apprise writes it."""
    return f"mailto://127.0.0.1:{port}?from=stepwatch@acme.example&to=oncall@acme.example&mode=insecure"


def test_each_step_is_a_letter_with_the_alerts_id(tmp_path: Path) -> None:
    with mailbox() as box:
        to = receiver(type="apprise", url_file=secret_file(tmp_path, address(box.port)))
        answers = deliver(to, *(delivery(step) for step in Step))
    assert [answer.outcome for answer in answers] == [Outcome.DELIVERED] * 4
    heads = [str(letter["Subject"]).split(":")[0] for _, letter in box.letters]
    assert heads == [f"[Stepwatch] {head}" for head in (
        "OPENED critical", "CHANGED critical", "ACKNOWLEDGED critical", "RESOLVED")]  # fmt: skip
    assert {tuple(envelope) for envelope, _ in box.letters} == {("stepwatch@acme.example", "oncall@acme.example")}
    assert all(KEY in letter.as_string() for _, letter in box.letters)


def test_a_letter_says_what_happened_what_is_missing_and_what_to_do() -> None:
    title, body = build_text(delivery())
    assert title == "[Stepwatch] OPENED critical: alice: payments.payout.approve on payout po_991: not verified"
    lines = body.split("\n")
    assert lines[0] == "the last proof was too old; nearest: security key tap 42 s too old"
    assert lines[1] == "do: https://runbooks.acme.example/payout · owner payments-oncall"
    assert "nearest proof: security key tap 42 s too old" in lines
    assert lines[-2].startswith("Runbook: https://")


def test_no_value_makes_a_header_a_line_or_a_call_to_everybody(tmp_path: Path) -> None:
    with mailbox() as box:
        to = receiver(type="apprise", url_file=secret_file(tmp_path, address(box.port)))
        deliver(to, of_text("a\r\nBcc: eve@evil.example\r\n\r\n" + HOSTILE))
    [(envelope, letter)] = box.letters
    assert envelope == ["stepwatch@acme.example", "oncall@acme.example"]
    assert letter["Bcc"] is None
    _, body = build_text(of_text(HOSTILE))
    for call in ("<!channel", "<@U1", "@everyone"):
        assert call not in body


def test_markup_in_a_value_is_text_in_the_letter(tmp_path: Path) -> None:
    with mailbox() as box:
        to = receiver(type="apprise", url_file=secret_file(tmp_path, address(box.port)))
        deliver(to, delivery(owner='<img src="https://evil.example/x">'))
    [(_, letter)] = box.letters
    for part in letter.walk():
        if part.get_content_type() == "text/html":
            assert "<img" not in part.get_content()


@pytest.mark.parametrize("text", [LONG, HOSTILE * 1000])
def test_a_letter_of_any_text_is_bounded(text: str) -> None:
    title, body = build_text(of_text(text))
    assert len(title) <= TITLE_CHARACTERS_MAX
    assert max(map(len, body.split("\n"))) <= LINE_CHARACTERS_MAX


def test_a_server_that_refuses_or_is_away_is_tried_again(tmp_path: Path) -> None:
    with mailbox(b"554 no") as box:
        to = receiver(type="apprise", url_file=secret_file(tmp_path, address(box.port)))
        assert deliver(to, delivery())[0].outcome is Outcome.RETRY
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        to = receiver(type="apprise", url_file=secret_file(tmp_path, address(unused.getsockname()[1])))
        assert deliver(to, delivery())[0].outcome is Outcome.RETRY


def test_a_server_that_hangs_is_given_up_and_not_heaped_upon(tmp_path: Path) -> None:
    with mailbox(hangs=True) as box:
        url = Secret("url_file", Path(secret_file(tmp_path, address(box.port))))
        answers = deliver(People("mail", url, deadline_s=0.2), delivery(), delivery(), delivery())
    assert [answer.outcome for answer in answers] == [Outcome.RETRY] * 3
    assert answers[0].words == "no answer within 0.2 s"
    assert "still wait" in answers[2].words


def test_another_service_of_apprise_is_told_by_its_address(tmp_path: Path) -> None:
    with loopback() as server:
        path = secret_file(tmp_path, f"json://127.0.0.1:{server.port}/token-of-ours")
        assert deliver(receiver(type="apprise", url_file=path), delivery())[0].outcome is Outcome.DELIVERED
        assert server.got[0].json["title"].startswith("[Stepwatch] OPENED critical")


def test_an_address_that_apprise_does_not_know_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = secret_file(tmp_path, "nonsense://password-of-ours")
    with pytest.raises(ReceiverWrong, match="url_file") as caught:
        receiver(type="apprise", url_file=path)
    assert "password-of-ours" not in str(caught.value)


def test_neither_logs_nor_words_show_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with mailbox(b"554 no") as box:
        url = f"mailto://user:password-of-ours@127.0.0.1:{box.port}?from=a@acme.example&to=b@acme.example&mode=insecure"
        [answer] = deliver(receiver(type="apprise", url_file=secret_file(tmp_path, url)), delivery())
    assert "password-of-ours" not in answer.words + caplog.text
