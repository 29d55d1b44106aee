"""The channels of the routing file: what is refused, by which field; and that no secret is ever shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from stepwatch.notifiers.delivery import Outcome
from stepwatch.notifiers.messages import build_test_message
from stepwatch.notifiers.receivers import ChannelConfig, ReceiverWrong, build_receiver, split_channel
from stepwatch.notifiers.secret import SECRET_BYTES_MAX, Secret
from tests.notifiers.deliveries import deliver, delivery, receiver, secret_file

CONFIG: TypeAdapter[Any] = TypeAdapter(ChannelConfig, config=ConfigDict(hide_input_in_errors=True))
SECRET = "s3cret-of-ours-0123456789"
WHSEC = "whsec_czNjcmV0LW9mLW91cnMtMDEyMzQ1Njc4OQ=="


def channels(folder: Path) -> list[dict[str, Any]]:
    """One channel of each type, as the routing file has it, with every secret that there is."""
    plain, url = secret_file(folder, SECRET), secret_file(folder, f"https://hooks.acme.example/{SECRET}")
    return [
        {"type": "pagerduty", "routing_key_file": plain},
        {"type": "alertmanager", "url": "http://127.0.0.1:9093", "bearer_file": plain},
        {"type": "alertmanager", "url": "http://127.0.0.1:9093", "user": "u", "password_file": plain},
        {"type": "slack", "url_file": url},
        {"type": "slack", "token_file": plain, "channel": "C1"},
        {"type": "teams", "url_file": url},
        {"type": "apprise", "url_file": secret_file(folder, f"json://user:{SECRET}@hooks.acme.example/")},
        {"type": "webhook", "url_file": url, "key_files": [secret_file(folder, WHSEC)]},
        {"type": "webhook", "url": "https://hooks.acme.example/", "key_files": [secret_file(folder, WHSEC)]},
        {"type": "console"},
    ]


@pytest.mark.parametrize("number", range(10))
def test_each_type_is_built_and_shows_no_secret(number: int, tmp_path: Path) -> None:
    config = CONFIG.validate_python({"name": "pager", **channels(tmp_path)[number]})
    built = build_receiver(config)
    assert built.name == "pager"
    assert (built.resend_every_s is not None) is (config.type == "alertmanager")
    inside = {name: vars(value) if hasattr(value, "__dict__") else value for name, value in vars(built).items()}
    for shown in (repr(config), repr(built), repr(inside), str(config.model_dump())):
        assert SECRET not in shown
        assert WHSEC not in shown


@pytest.mark.parametrize(
    ("channel", "field"),
    [
        ({"type": "pagerduty"}, "routing_key_file"),
        ({"type": "pagerduty", "routing_key": SECRET, "routing_key_file": "x"}, "routing_key"),
        ({"type": "pagerduty", "routing_key_file": 1}, "routing_key_file"),
        ({"type": "slack", "url": f"https://hooks.slack.com/{SECRET}", "url_file": "x"}, "url"),
        ({"type": "slack"}, "url_file"),
        ({"type": "slack", "url_file": "x", "token_file": "y", "channel": "C1"}, "url_file"),
        ({"type": "slack", "token_file": "x"}, "channel"),
        ({"type": "alertmanager"}, "url"),
        ({"type": "alertmanager", "url": "http://a", "user": "u"}, "password_file"),
        (
            {"type": "alertmanager", "url": "http://a", "user": "u", "password_file": "x", "bearer_file": "x"},
            "bearer_file",
        ),
        ({"type": "webhook", "url": "https://a"}, "key_files"),
        ({"type": "webhook", "url": "https://a", "key_files": []}, "key_files"),
        ({"type": "webhook", "url": "https://a", "key_files": ["a", "b", "c"]}, "key_files"),
        ({"type": "webhook", "key_files": ["a"]}, "url"),
        ({"type": "teams", "url_file": "x", "proxy": "http://u:p@proxy"}, "proxy"),
        ({"type": "teams", "url_file": "x", "proxy": "proxy"}, "proxy"),
        ({"type": "console", "name": "Not a name"}, "name"),
        ({"type": "telegraph"}, "type"),
        ({}, "type"),
    ],
)
def test_a_channel_that_is_wrong_is_refused_by_its_field_without_its_value(channel: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CONFIG.validate_python({"name": "pager", **channel})
    assert field in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hooks.acme.example/", "expected https"),
        ("https://127.0.0.1/", "expected a public address"),
        ("https://[::ffff:10.0.0.1]/", "expected a public address"),
        ("https://user:word@hooks.acme.example/", "no user or password"),
        ("ftp://hooks.acme.example/", "expected an address"),
        ("hooks.acme.example", "expected an address"),
        ("https://hooks.acme.example:0x/", "ort"),
    ],
)
def test_an_address_that_may_not_be_sent_to_is_refused_before_anything_is_sent(
    url: str, words: str, tmp_path: Path
) -> None:
    keys = [secret_file(tmp_path, WHSEC)]
    with pytest.raises(ReceiverWrong, match=words) as caught:
        build_receiver(CONFIG.validate_python({"name": "w", "type": "webhook", "url": url, "key_files": keys}))
    assert caught.value.field == "url"


def test_an_address_in_a_file_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = secret_file(tmp_path, f"http://hooks.acme.example/{SECRET}")
    with pytest.raises(ReceiverWrong) as caught:
        build_receiver(CONFIG.validate_python({"name": "t", "type": "teams", "url_file": path}))
    assert caught.value.field == "url_file"
    assert SECRET not in str(caught.value)
    assert path in str(caught.value)


@pytest.mark.parametrize("key", ["whsec_", "whsec_!", "whsec_abc", "é"])
def test_a_key_that_cannot_sign_is_refused_without_showing_it(key: str, tmp_path: Path) -> None:
    path = secret_file(tmp_path, key)
    with pytest.raises(ReceiverWrong) as caught:
        receiver(type="webhook", url="https://a.example", key_files=[path])
    assert caught.value.field == "key_files"
    assert key not in caught.value.words.replace("`whsec_`", "")


@pytest.mark.parametrize(
    "rotated",
    ["https://[::1/s3cret-of-ours", "https://h:s3cret-of-ours/x", "http://h/s3cret-of-ours", "s3cret-of-ours"],
)
def test_an_address_that_was_rotated_to_none_is_told_by_its_file_and_nothing_is_sent(
    rotated: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(secret_file(tmp_path, "https://chat.example/first"))
    teams = build_receiver(TypeAdapter(ChannelConfig).validate_python({"name": "c", "type": "teams", "url_file": path}))
    path.write_text(rotated)
    [answer] = deliver(teams, delivery())
    assert (answer.outcome, answer.unsent) == (Outcome.RETRY, True)
    assert answer.words.startswith(f"url_file: {path}: expected ")
    assert "s3cret" not in answer.words + caplog.text


def test_a_file_of_authorities_that_is_none_is_refused(tmp_path: Path) -> None:
    url = secret_file(tmp_path, "https://hooks.acme.example/x")
    for ca_file in (secret_file(tmp_path, "no certificate"), str(tmp_path / "missing.pem")):
        with pytest.raises(ReceiverWrong) as caught:
            receiver(type="teams", url_file=url, ca_file=ca_file)
        assert caught.value.field == "ca_file"


# Secrets.


def test_a_secret_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"  word \r\n")
    assert Secret("f", path).read() == "word"


@pytest.mark.parametrize("text", [b"", b" \n", b"a\nb", b"\xff", b"\x00a", b"x" * (SECRET_BYTES_MAX + 1)])
def test_a_file_without_one_line_of_text_holds_no_secret(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(text)
    with pytest.raises(ReceiverWrong, match=r"f: .*expected one line"):
        Secret("f", path)


def test_a_secret_of_the_greatest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * SECRET_BYTES_MAX)
    assert len(Secret("f", path).read()) == SECRET_BYTES_MAX


@pytest.mark.parametrize("missing", ["none", "."])
def test_a_secret_that_is_not_there_is_refused_by_its_field(missing: str, tmp_path: Path) -> None:
    with pytest.raises(ReceiverWrong, match=r"routing_key_file: .*put the secret there"):
        Secret("routing_key_file", tmp_path / missing)


# The parts of a channel.


def test_a_channel_is_split_into_its_receivers_keys_and_the_rest() -> None:
    channel = {"name": "pager", "type": "console", "rate": 1, "url": "x"}
    assert split_channel(channel) == ({"name": "pager", "type": "console"}, {"rate": 1, "url": "x"})
    channel = {"name": "am", "type": "alertmanager", "url": "x", "disclosure": "ids"}
    assert split_channel(channel) == ({"name": "am", "type": "alertmanager", "url": "x"}, {"disclosure": "ids"})


def test_the_split_of_a_channel_without_a_known_type_leaves_the_type_to_be_refused() -> None:
    assert split_channel({"name": "x", "type": "telegraph", "url": "y"}) == (
        {"name": "x", "type": "telegraph"},
        {"url": "y"},
    )
    assert split_channel({"name": "x", "type": ["console"]})[0] == {"name": "x", "type": ["console"]}


# The console as a channel.


def test_the_console_prints_two_lines_of_each_message(capsys: pytest.CaptureFixture[str]) -> None:
    [answer] = deliver(receiver(type="console"), delivery())
    assert answer.outcome is Outcome.DELIVERED
    assert capsys.readouterr().out == (
        "OPENED critical        alice: payments.payout.approve on payout po_991: not verified: the last proof was too "
        "old; nearest: security key tap 42 s too old\n"
        "                       do: https://runbooks.acme.example/payout · owner payments-oncall · "
        "al_0123456789abcdef0123456789abcdef\n"
    )


def test_a_test_message_says_that_nothing_has_happened() -> None:
    assert "nothing has happened" in build_test_message("pager").title
