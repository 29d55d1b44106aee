"""The token: where it is read, what is none, and that it is shown nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepwatch.sdk.bearer import Bearer, NoToken

SECRET = "s3cr3t.token_-~+/=="


def test_a_token_is_put_into_the_header_and_not_into_its_repr(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    for bearer in (Bearer(SECRET, None), Bearer(None, file), Bearer(None, str(file))):
        assert bearer.header() == f"Bearer {SECRET}"
        assert SECRET not in repr(bearer)


def test_a_token_that_is_renewed_in_its_file_is_used_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "token"
    bearer = Bearer(None, file)
    with pytest.raises(NoToken, match="No such file"):
        bearer.header()
    file.write_text("first")
    assert bearer.header() == "Bearer first"
    file.write_text("second")
    assert bearer.header() == "Bearer second"


@pytest.mark.parametrize("said", [{"token": None, "token_file": None}, {"token": "a", "token_file": "b"}])
def test_one_of_the_two_is_wanted_and_not_both(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^token: expected either"):
        Bearer(**said)


@pytest.mark.parametrize("token", ["", "two words", "line\nfeed", "kürzel", 'quote"', "=="])
def test_what_is_no_token_is_refused_without_being_repeated(token: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^token: ") as refused:
        Bearer(token, None)
    with pytest.raises(NoToken, match="holds no token") as unread:
        Bearer(None, file).header()
    if token:
        assert token not in str(refused.value)
        assert token not in str(unread.value)
