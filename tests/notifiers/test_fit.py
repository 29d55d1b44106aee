"""A text is cut by the receiver's unit, and never inside an escape or a character."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stepwatch.notifiers.fit import ADDRESS_CHARACTERS_MAX, fitted, utf8_bytes, utf16_units, web_address


def entity(char: str) -> str:
    return "&amp;" if char == "&" else char


@pytest.mark.parametrize(
    ("text", "units", "size", "shown"),
    [
        ("abcd", 4, len, "abcd"),
        ("abcde", 4, len, "abc…"),
        ("a😀b", 4, utf16_units, "a😀b"),
        ("a😀bc", 4, utf16_units, "a😀…"),
        ("😀😀😀", 4, utf16_units, "😀…"),
        ("ééé", 6, utf8_bytes, "ééé"),
        ("éééé", 7, utf8_bytes, "éé…"),
        ("", 0, len, ""),
    ],
)
def test_a_text_is_cut_where_its_receiver_counts(text: str, units: int, size: Callable[[str], int], shown: str) -> None:
    assert fitted(text, units, size=size) == shown


def test_an_escape_is_kept_whole_or_left_out() -> None:
    assert fitted("a&b", 7, escape=entity) == "a&amp;b"
    assert fitted("a&bc", 7, escape=entity) == "a&amp;…"
    assert fitted("a&bc", 6, escape=entity) == "a…"


def test_the_number_of_a_character_is_kept_whole_or_left_out() -> None:
    assert fitted("a\u202eb", 8) == "a\\u202eb"
    assert fitted("a\u202ebc", 7) == "a…"
    assert fitted("\x1b\x1b", 7) == "\\x1b…"


def test_a_lone_surrogate_is_shown_by_its_number() -> None:
    assert fitted("\ud83d", 10) == "\\ud83d"


@pytest.mark.parametrize(
    ("text", "is_link"),
    [
        ("https://a.example/x?y=1#z", True),
        ("HTTP://a.example", True),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("https:///x", False),
        ("https://a.example/a b", False),
        ("https://a.example/\u202e", False),
        ("https://[a/", False),
        ("call the bank", False),
        ("", False),
        ("https://a.example/".ljust(ADDRESS_CHARACTERS_MAX, "x"), True),
        ("https://a.example/".ljust(ADDRESS_CHARACTERS_MAX + 1, "x"), False),
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(text: str, is_link: bool) -> None:
    assert web_address(text) == (text if is_link else "")
