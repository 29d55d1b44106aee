"""Settings of the reporter over HTTP that cannot work: each is named at once, and nothing is left running."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.sdk import HttpReporter
from stepwatch.sdk.background import _open

TOKEN = "tok-0123456789"
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("url", {"url": "localhost:7310"}),
    ("url", {"url": "ftp://localhost"}),
    ("url", {"url": "https://user:secret@localhost"}),
    ("url", {"url": "https://localhost?x=1"}),
    ("url", {"url": "https://localhost:port"}),
    ("url", {"url": "https://"}),
    ("url", {"url": 7}),
    ("token", {"token": None}),
    ("token", {"token": "two words"}),
    ("timeout_s", {"timeout_s": 0}),
    ("spool_bytes_max", {"spool_bytes_max": 0}),
    ("events_max", {"events_max": 0}),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG, ids=[f"{n}-{row[0]}" for n, row in enumerate(WRONG)])
def test_a_wrong_setting_is_an_error_that_names_it_and_shows_no_secret(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: ") as refused:
        HttpReporter(**{"url": "https://localhost:7310", "token": TOKEN, **wrong})
    assert "secret" not in str(refused.value)
    assert not _open
