"""The password file: what it holds, what it refuses, and who reads it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepwatch.cli.main import app
from stepwatch.console.users import User, UsersRefused, is_password, read_users, remove_user, set_user
from tests.web.console.pages import PASSWORD


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "users.json"


def test_it_holds_a_hash_of_argon2id_and_is_its_owners_alone(path: Path) -> None:
    assert set_user(path, "rosa", PASSWORD, "responder", ["acme"])
    assert not set_user(path, "rosa", PASSWORD, "admin", ["acme", "globex"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    user = read_users(path)["rosa"]
    assert user.hash.startswith("$argon2id$")
    assert (user.role, user.tenants) == ("admin", ("acme", "globex"))
    assert is_password(user, PASSWORD)
    assert not is_password(user, PASSWORD + "x")
    assert not is_password(None, PASSWORD)
    assert not is_password(user, "x" * 10_000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "a b"}, "name: expected"),
        ({"name": ""}, "name: expected"),
        ({"password": "short"}, "password: expected 10 to 512 characters, got 5"),
        ({"role": "root"}, "role: expected one of viewer, responder, admin, got 'root'"),
        ({"tenants": []}, "tenant: missing"),
        ({"tenants": ["a/b"]}, "tenant: expected"),
    ],
)
def test_what_is_no_user_is_refused_by_its_field(path: Path, changes: dict[str, object], words: str) -> None:
    said = {"name": "rosa", "password": PASSWORD, "role": "viewer", "tenants": ["acme"], **changes}
    with pytest.raises(UsersRefused, match=words):
        set_user(path, **said)  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "json: "),
        ('{"users": [{"name": "a"}]}', "users.0.hash: Field required"),
        ('{"users": [{"name": "a", "hash": "h", "role": "root", "tenants": []}]}', "users.0.role: "),
        ('{"version": 2}', "version: "),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_by_its_field(path: Path, text: str, words: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsersRefused, match=words):
        read_users(path)


def test_two_who_change_it_at_once_lose_nobody(path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: set_user(path, f"u{number}", PASSWORD, "viewer", ["*"]), range(8)))
    assert sorted(read_users(path)) == [f"u{number}" for number in range(8)]
    assert remove_user(path, "u3")
    assert not remove_user(path, "u3")


def test_a_role_may_do_what_those_below_it_may() -> None:
    def may(role: str) -> list[bool]:
        user = User(name="u", hash="", role=role, tenants=("acme",))  # type: ignore[arg-type]
        return [user.may("viewer"), user.may("responder"), user.may("admin")]

    assert [may("viewer"), may("responder"), may("admin")] == [[True, False, False], [True, True, False], [True] * 3]


def test_commands_add_list_and_remove_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWATCH_DATA", str(tmp_path))
    run = CliRunner()
    added = run.invoke(
        app, ["console", "passwd", "rosa", "--role", "responder", "--tenant", "acme"], input=PASSWORD + "\n"
    )
    assert added.exit_code == 0, added.output
    assert json.loads((tmp_path / "console-users.json").read_text())["users"][0]["name"] == "rosa"
    assert "responder" in run.invoke(app, ["console", "users"]).output
    assert run.invoke(app, ["console", "remove", "rosa"]).exit_code == 0
    assert run.invoke(app, ["console", "remove", "rosa"]).exit_code == 1
