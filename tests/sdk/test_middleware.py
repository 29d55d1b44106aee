"""The middleware: whose address is believed, what of a request gets into an event, and that it stays in the request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwatch.sdk import AsgiContext, Client, MemoryReporter, Source, Who, WsgiContext, current
from stepwatch.sdk.proxies import TrustedProxies

PROXIES = TrustedProxies(["192.0.2.0/24", "2001:db8::/32"])
BANK = Source("/payments/api")
ADDRESSES: list[tuple[str, str | None, str, str | None]] = [
    ("a direct client", "203.0.113.7", "", "203.0.113.7"),
    ("one that says to be a proxy", "203.0.113.7", "198.51.100.1", "203.0.113.7"),
    ("through our proxy", "192.0.2.1", "203.0.113.7", "203.0.113.7"),
    ("through two of ours", "192.0.2.1", "203.0.113.7, 192.0.2.9", "203.0.113.7"),
    ("a forged beginning", "192.0.2.1", "10.0.0.1, 203.0.113.7", "203.0.113.7"),
    ("a proxy that says nothing", "192.0.2.1", "", "192.0.2.1"),
    ("all of them ours", "192.0.2.1", "192.0.2.7", "192.0.2.7"),
    ("an unreadable entry", "192.0.2.1", "203.0.113.7, unknown, 192.0.2.9", "192.0.2.9"),
    ("with a port", "192.0.2.1", "203.0.113.7:4711", "203.0.113.7"),
    ("of version 6", "2001:db8::1", "[2001:470::7]:443", "2001:470::7"),
    ("of version 4 inside 6", "::ffff:192.0.2.1", "::ffff:203.0.113.7", "203.0.113.7"),
    ("an unnamed socket", None, "203.0.113.7", None),
    ("an empty one", "", "203.0.113.7", None),
    ("a host name", "localhost", "203.0.113.7", None),
]


@pytest.mark.parametrize(("what", "peer", "header", "client"), ADDRESSES, ids=[row[0] for row in ADDRESSES])
def test_the_client_is_the_first_address_that_no_trusted_proxy_has(
    what: str, peer: str | None, header: str, client: str | None
) -> None:
    assert PROXIES.client_of(peer, header) == client


def test_a_unix_socket_is_believed_where_it_is_said_so() -> None:
    assert TrustedProxies(["unix"]).client_of(None, "203.0.113.7") == "203.0.113.7"


@pytest.mark.parametrize("wrong", [["192.0.2.1/24"], ["a proxy"], "192.0.2.1"])
def test_a_proxy_that_is_no_network_is_an_error_at_once(wrong: Any) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        TrustedProxies(wrong)


def scope_of(kind: str = "http", *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": kind, "client": ("192.0.2.1", 4711), "headers": headers, **more}


async def ask(app: Any, scope: dict[str, Any]) -> None:
    await app(scope, None, None)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_what_is_reported_in_a_request_has_its_session_client_and_claims(kind: str) -> None:
    reporter = MemoryReporter()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        # What a dependency finds out further in.
        current().fill(token={"acr": "phr", "email": "alice@acme.example"})
        reporter.report(BANK.action_performed("a.b", subject="alice"))

    wrapped = AsgiContext(app, who=lambda scope: Who("alice", scope["sid"], "s-80"), trusted_proxies=["192.0.2.0/24"])
    headers = [(b"user-agent", b"Fire\xe9"), (b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"203.0.113.7")]
    asyncio.run(ask(wrapped, scope_of(kind, *headers, sid="s-81")))
    reporter.assert_reported(
        "action.performed",
        session="s-81",
        root_session="s-80",
        client={"ip": "203.0.113.7", "user_agent": "Fire\u00e9"},
        token={"acr": "phr"},
    )
    assert "email" not in reporter.events[0]["data"]["token"]
    assert current().session is None


def test_requests_at_the_same_time_do_not_see_each_others_context() -> None:
    reporter = MemoryReporter()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        reporter.report(BANK.action_performed("a.b", subject=scope["who"]))

    async def story() -> None:
        wrapped = AsgiContext(app, who=lambda scope: Who(scope["who"], f"s-{scope['who']}"))
        await asyncio.gather(*(ask(wrapped, scope_of(who=f"user-{n}")) for n in range(20)))

    asyncio.run(story())
    assert {event["data"]["session"] for event in reporter.events} == {f"s-user-{n}" for n in range(20)}
    assert all(event["data"]["session"] == f"s-{event['subject']}" for event in reporter.events)


def test_the_lifespan_and_a_request_without_anything_pass() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current().client)

    wrapped = AsgiContext(app)
    asyncio.run(ask(wrapped, {"type": "lifespan"}))
    asyncio.run(ask(wrapped, {"type": "http", "client": None, "headers": []}))
    assert seen == [None, None]


def test_a_who_that_raises_costs_the_session_and_not_the_request(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current())

    wrapped = AsgiContext(app, who=lambda scope: Who(session=scope["missing"]))
    for _ in range(3):
        asyncio.run(ask(wrapped, scope_of()))
    assert [context.session for context in seen] == [None] * 3
    assert caplog.text.count("`who` raised") == 1


def test_wsgi_gives_the_same_and_leaves_nothing_behind() -> None:
    reporter = MemoryReporter()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        reporter.report(BANK.action_performed("a.b", subject="alice"))
        return [b"done"]

    wrapped = WsgiContext(app, who=lambda environ: Who(session=environ["beaker.sid"]), trusted_proxies=["192.0.2.0/24"])
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_X_FORWARDED_FOR": "203.0.113.7",
        "HTTP_USER_AGENT": "x" * 5000,
        "beaker.sid": "s-81",
    }
    assert list(wrapped(environ, lambda *_: None)) == [b"done"]
    event = reporter.assert_reported("action.performed", session="s-81", client={"ip": "203.0.113.7"})
    assert len(event["data"]["client"]["user_agent"]) == 1024
    assert current().client is None


def test_a_client_that_is_given_goes_before_the_requests() -> None:
    reporter = MemoryReporter()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reporter.report(BANK.stepup_verified(subject="alice", amr=["swk"], client=Client(device="d-3")))

    asyncio.run(ask(AsgiContext(app), scope_of()))
    assert reporter.events[0]["data"]["client"] == {"device": "d-3"}
