"""Text that others wrote -> text that is safe on a terminal and in a log."""

from __future__ import annotations

import unicodedata

TEXT_CHARACTERS_MAX = 300
"""A value longer than this is cut: an alert's first line must stay a line."""


def plain(text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """A value as it can be shown: one line, at most so many characters, nothing in it that moves a cursor.

    Control characters, marks that turn the direction of writing, invisible ones and line separators are
    shown as `\\x1b` or `\\u202e`: a subject named by an attacker must not be able to redraw the screen
    of whoever is on call.
    """
    cut = text if len(text) <= characters_max else text[: characters_max - 1] + "…"
    return "".join(char if _is_harmless(char) else _escaped(char) for char in cut)


def _is_harmless(char: str) -> bool:
    # C*: control, format, surrogate, private, unassigned. Zl, Zp: line and paragraph separators.
    return (char.isascii() and char.isprintable()) or unicodedata.category(char)[0] not in "CZ" or char == " "


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
