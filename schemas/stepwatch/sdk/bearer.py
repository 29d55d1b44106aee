"""The token that says who we are to the server: read where it lies, put into a header, and shown nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 section 2.1; anything else does not fit into the header."""


class NoToken(ValueError):
    """There is none to be had now; says where it was looked for, and never what was found."""


class Bearer:
    """A token, or the file that it lies in.

    Args:
        token: the token itself.
        token_file: holds nothing else; read for each request, so that a token may be renewed in it.

    Raises:
        ValueError: neither or both are given, or the token is none.
    """

    def __init__(self, token: str | None, token_file: str | Path | None) -> None:
        if (token is None) == (token_file is None):
            raise ValueError("token: expected either a token or a token_file")
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("token: expected letters, digits and -._~+/ (it is not repeated here)")
        self._token = token
        self._file = None if token_file is None else Path(token_file)

    def __repr__(self) -> str:
        return f"Bearer({'a token' if self._file is None else str(self._file)!r})"

    def header(self) -> str:
        """The value of `Authorization`.

        Raises:
            NoToken: the file cannot be read, or holds no token.
        """
        return f"Bearer {self._token or self._read()}"

    def _read(self) -> str:
        assert self._file is not None
        try:
            token = self._file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise NoToken(f"token_file {self._file}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            token = ""
        if not _TOKEN.fullmatch(token):
            raise NoToken(f"token_file {self._file}: holds no token (letters, digits and -._~+/)") from None
        return token
