"""The one way out by HTTP: what each answer means, whom it connects to, and that it gives nothing away."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from stepwatch.notifiers.addresses import AddressRefused, checked, is_public
from stepwatch.notifiers.delivery import Answer, Outcome
from stepwatch.notifiers.http import ANSWER_BYTES_MAX, RETRY_AFTER_S_MAX, HttpSender, Reply, retry_after_s
from tests.notifiers.loopback import Says, loopback

BODY = b'{"a":1}'


def post(url: str, **options: Any) -> Reply:
    """Send one request by a sender with these options."""
    secrets = options.pop("secrets", ())

    async def go() -> Reply:
        sender = HttpSender(**{"allow_private": True, "deadline_s": 5.0, **options})
        try:
            return await sender.send("POST", url, body=BODY, secrets=secrets)
        finally:
            await sender.close()

    return asyncio.run(go())


def answer_to(says: Says, **options: Any) -> Answer:
    with loopback(says) as server:
        return post(server.url, **options).answer


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (301, Outcome.RETRY),
        (307, Outcome.RETRY),
        (400, Outcome.REFUSED),
        (401, Outcome.RETRY),
        (403, Outcome.RETRY),
        (404, Outcome.RETRY),
        (405, Outcome.RETRY),
        (407, Outcome.RETRY),
        (408, Outcome.RETRY),
        (410, Outcome.DISABLED),
        (413, Outcome.REFUSED),
        (415, Outcome.REFUSED),
        (422, Outcome.REFUSED),
        (425, Outcome.RETRY),
        (429, Outcome.RETRY),
        (500, Outcome.RETRY),
        (503, Outcome.RETRY),
        (599, Outcome.RETRY),
    ],
)
def test_each_status_has_its_outcome(status: int, outcome: Outcome) -> None:
    answer = answer_to(Says(status, b""))
    assert answer.outcome is outcome
    assert answer.words.startswith(str(status))


@pytest.mark.parametrize("status", [302, 401, 403, 404, 407])
def test_a_refusal_that_only_a_person_mends_is_told_from_an_outage(status: int) -> None:
    answer = answer_to(Says(status, b""))
    assert (answer.is_misset, answer.unsent) == (True, True)
    assert not answer_to(Says(503, b"")).is_misset


def test_a_refusal_shows_the_beginning_of_the_body_made_safe() -> None:
    answer = answer_to(Says(400, b"bad field\x1b[2J\n" + b"x" * 5000))
    assert answer.words.startswith("400: bad field\\x1b[2J\\x0a")
    assert len(answer.words) < 300


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("3600", RETRY_AFTER_S_MAX),
        ("3601", RETRY_AFTER_S_MAX),
        ("9" * 400, RETRY_AFTER_S_MAX),
        ("00000000001000", 1000.0),
        ("0" * 400 + "7", 7.0),
        ("000", 0.0),
        ("Tue, 24 Nov 2026 09:15:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 09:14:00 GMT", 0.0),
        ("Tue, 24 Nov 2099 09:14:00 GMT", RETRY_AFTER_S_MAX),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_bounded(header: str, seconds: float | None) -> None:
    assert retry_after_s(header, now_s=1795511700.0) == seconds


def test_what_a_receiver_asks_to_wait_is_handed_on() -> None:
    assert answer_to(Says(429, b"", {"Retry-After": "12"})).retry_after_s == 12.0
    assert answer_to(Says(503, b"", {"Retry-After": "12"})).retry_after_s == 12.0
    assert answer_to(Says(200, b"", {"Retry-After": "12"})).retry_after_s is None


def test_a_redirect_is_not_followed() -> None:
    with loopback() as elsewhere, loopback(Says(302, b"", {"Location": elsewhere.url})) as server:
        answer = post(server.url).answer
    assert answer.outcome is Outcome.RETRY
    assert "redirect" in answer.words
    assert elsewhere.got == []


def test_a_receiver_that_hangs_is_given_up_and_may_have_it() -> None:
    answer = answer_to(Says(hangs=True), deadline_s=0.2)
    assert (answer.outcome, answer.unsent) == (Outcome.RETRY, False)
    assert answer.words == "no answer within 0.2 s"


def test_a_lost_reply_is_tried_again_and_may_have_arrived() -> None:
    answer = answer_to(Says(lost=True))
    assert (answer.outcome, answer.unsent) == (Outcome.RETRY, False)


def test_an_address_where_nobody_listens_was_certainly_not_reached() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = post(f"http://127.0.0.1:{unused.getsockname()[1]}").answer
    assert (answer.outcome, answer.unsent) == (Outcome.RETRY, True)
    assert answer.words.startswith("no connection: ")


def test_an_answer_without_end_is_read_to_its_bound() -> None:
    with loopback(Says(200, b"x" * (ANSWER_BYTES_MAX + 1))) as server:
        assert len(post(server.url).body) == ANSWER_BYTES_MAX


def test_a_compressed_answer_is_not_unpacked() -> None:
    with loopback(Says(200, b"\x1f\x8bnot gzip", {"Content-Encoding": "gzip"})) as server:
        reply = post(server.url)
        assert (reply.answer.outcome, reply.body) == (Outcome.DELIVERED, b"\x1f\x8bnot gzip")
        assert server.got[0].headers["Accept-Encoding"] == "identity"


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback() as proxy, loopback() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert post(server.url).answer.outcome is Outcome.DELIVERED
        assert (len(server.got), len(proxy.got)) == (1, 0)


def test_a_proxy_that_is_configured_is_used() -> None:
    with loopback() as proxy:
        assert post("http://receiver.example/x", proxy=proxy.url).answer.outcome is Outcome.DELIVERED
        assert proxy.got[0].path == "http://receiver.example/x"


# Whom it connects to.


class Names:
    """A resolver that gives these answers in turn, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0)


@pytest.mark.parametrize(
    "address",
    [
        address
        for line in (
            "10.0.0.1 127.0.0.1 0.0.0.0 169.254.169.254 192.168.0.1 172.16.0.1 100.64.0.1 192.0.2.1 224.0.1.1",
            "255.255.255.255 240.0.0.1 :: ::1 fe80::1 fe80::1%1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1",
            "::ffff:10.0.0.1 ::ffff:127.0.0.1 ::7f00:1 64:ff9b::a00:1 64:ff9b::7f00:1 64:ff9b:1::1 2002:a00:1::",
            "2001:0:1::1 localhost 127.1 2130706433 fec0::1 ::ffff:0:10.0.0.1 2000::5efe:10.0.0.1",
            "2000::200:5efe:10.0.0.1 192.0.0.192 5f00::1 3fff::1 192.88.99.1 168.63.129.16 ::10.0.0.1 4000::1",
        )
        for address in line.split()
    ],
)
def test_an_address_that_is_not_public_is_told_whatever_its_form(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::", "::ffff:8.8.8.8"]
)
def test_a_public_address_is_told_whatever_its_form(address: str) -> None:
    assert is_public(address)


def test_a_name_with_one_private_answer_among_public_ones_is_not_connected_to() -> None:
    with loopback() as server:
        names = Names(["8.8.8.8", "127.0.0.1"], ["127.0.0.1"])
        for _ in range(2):
            reply = post(f"http://receiver.example:{server.port}", allow_private=False, resolver=names)
            assert (reply.answer.outcome, reply.answer.unsent) == (Outcome.RETRY, True)
            assert "receiver.example is 127.0.0.1" in reply.answer.words
        assert server.got == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_no_spelling_of_loopback_is_connected_to_unless_allowed(host: str) -> None:
    with loopback() as server:
        answer = post(f"http://{host}:{server.port}", allow_private=False).answer
        assert (answer.outcome, server.got) == (Outcome.RETRY, [])


def test_what_was_looked_at_is_what_is_connected_to_though_the_name_changes_meanwhile() -> None:
    """Asked a second time this name would be another host: it is asked once, and its name stays in `Host`."""
    with loopback() as server, loopback(address="127.0.0.2", port=server.port) as other:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        assert post(f"http://receiver.example:{server.port}/x", resolver=names).answer.outcome is Outcome.DELIVERED
        assert names.asked == [("receiver.example", server.port)]
        assert (len(server.got), len(other.got)) == (1, 0)
        assert server.got[0].headers["Host"] == f"receiver.example:{server.port}"


def test_the_second_address_is_tried_where_nobody_listens_at_the_first() -> None:
    with loopback() as server:
        names = Names(["127.0.0.3", "127.0.0.1"])
        assert post(f"http://receiver.example:{server.port}", resolver=names).answer.outcome is Outcome.DELIVERED


def test_a_name_without_an_address_is_tried_again() -> None:
    answer = post("http://receiver.example", resolver=Names([])).answer
    assert (answer.outcome, answer.unsent) == (Outcome.RETRY, True)
    assert "receiver.example has no address" in answer.words


def test_an_address_of_a_name_is_checked_before_it_is_handed_out() -> None:
    with pytest.raises(AddressRefused, match=r"h is 10\.0\.0\.1"):
        asyncio.run(checked("h", 443, allow_private=False, resolver=Names(["10.0.0.1"])))
    assert asyncio.run(checked("h", 443, allow_private=True, resolver=Names(["10.0.0.1"]))) == ["10.0.0.1"]


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


def serving(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def test_a_certificate_is_held_to_the_name_though_an_address_is_connected_to(
    authority: tuple[trustme.CA, Path],
) -> None:
    ca, path = authority
    with loopback(context=serving(ca, "receiver.example")) as server:
        url = f"https://receiver.example:{server.port}"
        assert post(url, ca_file=path, resolver=Names(["127.0.0.1"])).answer.outcome is Outcome.DELIVERED


@pytest.mark.parametrize("case", ["another name", "another authority"])
def test_a_wrong_certificate_ends_before_anything_is_sent(case: str, authority: tuple[trustme.CA, Path]) -> None:
    ca, path = authority
    context = serving(ca, "other.example") if case == "another name" else serving(trustme.CA(), "receiver.example")
    with loopback(context=context) as server:
        url = f"https://receiver.example:{server.port}"
        answer = post(url, ca_file=path, resolver=Names(["127.0.0.1"])).answer
        assert (answer.outcome, answer.unsent, server.got) == (Outcome.RETRY, True, [])
        assert "certificate verify failed" in answer.words.lower()


def test_a_server_without_tls_is_no_tls_server() -> None:
    with loopback() as server:
        answer = post(server.url.replace("http:", "https:")).answer
        assert (answer.outcome, server.got) == (Outcome.RETRY, [])


# What it gives away.

SECRET_URL_PATH = "/services/T0AAAAAAAA/B0BBBBBBBB/cccccccccccccccccccccccc"


@pytest.mark.parametrize("says", [Says(400), Says(302), Says(lost=True), Says(hangs=True)], ids=str)
def test_neither_words_nor_logs_show_the_secret_of_an_address(says: Says, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Says(says.status, SECRET_URL_PATH.encode() + b" key-of-ours", {"Location": "/x"}, says.lost, says.hangs)
    with loopback(echo) as server:
        answer = post(server.url + SECRET_URL_PATH, deadline_s=0.3, secrets=["key-of-ours"]).answer
        assert server.got[0].path == SECRET_URL_PATH
    for shown in (answer.words, caplog.text):
        assert "cccccccc" not in shown
        assert "key-of-ours" not in shown


SIGNATURE = "AbCdEf-1234_567%2Bxyz"


@pytest.mark.parametrize(
    "echoed",
    [
        f"the signature {SIGNATURE} is invalid",
        "the signature AbCdEf-1234_567+xyz is invalid",
        "no workflow 0a1b2c3d%2F4e5f there",
        "no workflow 0a1b2c3d/4e5f there",
        f"/workflows/0a1b2c3d%2F4e5f?api-version=1&sig={SIGNATURE} is gone",
    ],
)
def test_no_piece_of_an_address_is_shown_as_written_or_decoded(echoed: str) -> None:
    with loopback(Says(401, echoed.encode())) as server:
        words = post(f"{server.url}/workflows/0a1b2c3d%2F4e5f?api-version=1&sig={SIGNATURE}").answer.words
    assert [piece for piece in ("AbCdEf", "1234_567", "0a1b2c3d") if piece in words] == []


@pytest.mark.parametrize("url", ["https://[::1/secret-of-ours", "https://h:99999999/secret-of-ours", "secret-of-ours"])
def test_what_is_no_address_is_told_and_not_shown(url: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = post(url).answer
    assert (answer.outcome, answer.unsent) == (Outcome.RETRY, True)
    assert "secret-of-ours" not in answer.words + caplog.text


def test_half_a_secret_is_not_shown_where_the_words_are_cut() -> None:
    answer = answer_to(Says(400, b"x" * 190 + b"key-of-ours-that-is-long"), secrets=["key-of-ours-that-is-long"])
    assert "key" not in answer.words
