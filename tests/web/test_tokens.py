"""Tokens: what the file holds, whom they let in, and until when."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from stepwatch.ingest.tokens import Tokens, TokensRefused, create_token, hash_of, read_tokens, revoke_token
from stepwatch.schemas.times import SECOND_US, TIME_END_US
from tests.cli.console import run

NOW_US = 1_795_511_000 * SECOND_US


def test_the_file_holds_the_hash_of_a_token_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    secret = create_token(path, "bank", tenants=["acme"], sources=["/payments/api"])
    assert secret not in path.read_text()
    assert json.loads(path.read_text())["tokens"][0]["hash"] == hash_of(secret)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_is_found_by_its_secret_and_by_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    secret = create_token(path, "bank", tenants=["acme"], may=["read"])
    tokens = Tokens(path)
    found = tokens.find(secret)
    assert found is not None
    assert found.name == "bank"
    assert tokens.find(hash_of(secret)) is None
    assert tokens.find(secret + "x") is None
    assert tokens.find("") is None


def test_a_server_that_runs_learns_of_new_and_of_revoked_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = Tokens(path)
    assert tokens.find("swt_none") is None
    secret = create_token(path, "bank", tenants=["*"], may=["read"])
    assert tokens.find(secret) is not None
    assert revoke_token(path, "bank") == 1
    assert tokens.find(secret) is None
    assert revoke_token(path, "bank") == 0


def test_a_token_ends_exactly_when_it_expires(tmp_path: Path) -> None:
    path, now_us = tmp_path / "tokens.json", NOW_US
    secret = create_token(path, "bank", tenants=["*"], may=["read"], expires_in_us=SECOND_US, now_us=NOW_US)
    tokens = Tokens(path, lambda: now_us)
    now_us = NOW_US + SECOND_US - 1
    assert tokens.find(secret) is not None
    now_us = NOW_US + SECOND_US
    assert tokens.find(secret) is None


@pytest.mark.parametrize("end", ["2026-01-01", "never", "2262-01-01T00:00:00Z"])
def test_an_end_that_cannot_be_read_lets_nobody_in_rather_than_the_token_for_ever(tmp_path: Path, end: str) -> None:
    path = tmp_path / "tokens.json"
    secret = create_token(path, "bank", tenants=["acme"], may=["read"])
    held = json.loads(path.read_text())
    held["tokens"][0]["expires_at"] = end
    path.write_text(json.dumps(held))
    with pytest.raises(TokensRefused, match=r"tokens\.0\.expires_at: .*RFC 3339"):
        Tokens(path).find(secret)


def test_a_token_may_end_in_the_last_microsecond_of_2261_and_no_later(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    left_us = TIME_END_US - NOW_US
    with pytest.raises(TokensRefused, match=r"^expires: .*2261"):
        create_token(path, "late", tenants=["acme"], may=["read"], expires_in_us=left_us, now_us=NOW_US)
    create_token(path, "last", tenants=["acme"], may=["read"], expires_in_us=left_us - 1, now_us=NOW_US)
    assert [token.expires_at for token in read_tokens(path)] == ["2261-12-31T23:59:59.999999Z"]


def test_a_change_that_leaves_size_and_mtime_as_they_were_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    secret = create_token(path, "bank", tenants=["acme"], may=["read"])
    tokens = Tokens(path)
    assert tokens.find(secret) is not None
    before, text = path.stat(), path.read_text()
    # The clock of file systems may tick every 4 ms only.
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_text(text.replace(hash_of(secret), hash_of("another")))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_ino, path.stat().st_size) == (
        before.st_mtime_ns,
        before.st_ino,
        before.st_size,
    )
    assert tokens.find(secret) is None


@pytest.mark.parametrize("source", ["/payments/api", "/payments/", "/payments/x/y"])
def test_a_star_in_a_source_is_any_run_of_characters(tmp_path: Path, source: str) -> None:
    path = tmp_path / "tokens.json"
    create_token(path, "bank", tenants=["acme"], sources=["/payments/*"])
    (token,) = read_tokens(path)
    assert token.for_source(source)
    assert not token.for_source("/x" + source)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"tenants": []}, "tenant"),
        ({"tenants": ["a*"]}, "tenant"),
        ({"sources": []}, "source"),
        ({"may": ["write"]}, "may"),
    ],
)
def test_a_token_that_could_be_no_use_is_refused_by_its_field(
    tmp_path: Path, wrong: dict[str, object], field: str
) -> None:
    asked = {"name": "bank", "tenants": ["acme"], "sources": ["*"], **wrong}
    with pytest.raises(TokensRefused, match=f"^{field}: "):
        create_token(tmp_path / "tokens.json", asked.pop("name"), **asked)  # type: ignore[arg-type]
    assert not (tmp_path / "tokens.json").exists()


def test_two_live_tokens_are_not_called_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    create_token(path, "bank", tenants=["acme"], sources=["*"])
    with pytest.raises(TokensRefused, match="called 'bank' already"):
        create_token(path, "bank", tenants=["acme"], sources=["*"])
    revoke_token(path, "bank")
    create_token(path, "bank", tenants=["acme"], sources=["*"])
    assert [token.state(NOW_US) for token in read_tokens(path)] == ["revoked", "live"]


@pytest.mark.parametrize("text", [b"", b"{", b'{"version":2}', b'{"version":1,"tokens":[{"name":1}]}'])
def test_a_file_that_is_none_of_tokens_lets_nobody_in(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "tokens.json"
    secret = create_token(path, "bank", tenants=["acme"], sources=["*"])
    tokens = Tokens(path)
    assert tokens.find(secret) is not None
    path.write_bytes(text)
    for _ in range(2):
        with pytest.raises(TokensRefused, match=r"tokens\.json"):
            tokens.find(secret)


def test_a_file_that_others_may_write_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    create_token(path, "bank", tenants=["acme"], sources=["*"])
    path.chmod(0o622)
    with pytest.raises(TokensRefused, match="chmod 600"):
        read_tokens(path)


def test_the_commands_create_list_and_revoke_and_show_the_secret_once(tmp_path: Path) -> None:
    words = ("--tenant", "acme", "--source", "/payments/*", "--may", "post", "--may", "read", "--expires", "90d")
    made = run(tmp_path, "token", "create", "bank", *words, "--data", "data")
    assert made.status == 0, made.err
    secret = made.out.strip()
    assert Tokens(tmp_path / "data" / "tokens.json").find(secret) is not None
    listed = run(tmp_path, "token", "list", "--data", "data")
    assert listed.out.split("\t")[:5] == ["bank", "live", "post,read", "acme", "/payments/*"]
    assert secret not in listed.out + listed.err + made.err
    assert run(tmp_path, "token", "revoke", "bank", "--data", "data").status == 0
    assert run(tmp_path, "token", "revoke", "bank", "--data", "data").status == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--tenant", "acme"),
        ("--tenant", "acme", "--source", "*", "--expires", "90"),
        ("--tenant", "acme", "--source", "*", "--expires", "99999d"),
    ],
)
def test_a_command_without_a_source_or_with_a_wrong_age_is_misuse(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, "token", "create", "bank", *words, "--data", "data")
    assert done.status == 2
    assert done.out == ""
