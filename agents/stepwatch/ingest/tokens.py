"""Tokens: who may post and ask, for which tenants and from which sources (contract section 9).

The file holds hashes only. A secret is 256 random bits, so plain SHA-256 is right: there is nothing to guess, and a
slow hash, which protects passwords that people choose, would only let strangers keep the server busy.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stepwatch.agents.errors import EXIT_CONFIGURATION, RoleError
from stepwatch.agents.owned_files import OthersMayWrite, Stamp, locked, read_owned, replace_owned, stamp_of
from stepwatch.schemas.faults import TENANT
from stepwatch.schemas.times import TIME_END_US, format_time, parse_time
from stepwatch.streams.matching import Patterns

Right = Literal["post", "read", "respond"]
ANY_TENANT: Final = "*"
_PREFIX: Final = "swt_"
"""So that scanners for leaked secrets, and people, see what it is."""
_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")


class TokensRefused(RoleError):
    """The file of tokens, or what is asked of it, is not as it must be."""

    code = "tokens_refused"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class Token(BaseModel):
    """One token as the file holds it. Times are RFC 3339; `""` is never.

    Attributes:
        hash: hex SHA-256 of the secret.
        tenants: exact names, or `*`.
        sources: patterns in which `*` is any run of characters; for posting only.
        may: what it may do.
    """

    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    tenants: list[str]
    sources: list[str] = []
    may: list[Right]
    created_at: str
    expires_at: str = ""
    revoked_at: str = ""

    @field_validator("expires_at")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        """One that cannot be read would be one that never comes."""
        if text and parse_time(text) is None:
            raise ValueError("expected an RFC 3339 time with a zone, years 1970 to 2261")
        return text

    def state(self, now_us: int) -> Literal["live", "expired", "revoked"]:
        """Whether it opens anything now; at `expires_at` it does not any more."""
        if self.revoked_at:
            return "revoked"
        expires_us = parse_time(self.expires_at) if self.expires_at else None
        return "expired" if expires_us is not None and now_us >= expires_us else "live"

    def for_tenant(self, tenant: str) -> bool:
        """Whether it is bound to this tenant."""
        return tenant in self.tenants or ANY_TENANT in self.tenants

    def for_source(self, source: str) -> bool:
        """Whether it may post in the name of this source."""
        return _patterns(tuple(self.sources)).matches(source)


@lru_cache(maxsize=1024)
def _patterns(sources: tuple[str, ...]) -> Patterns:
    return Patterns(sources)


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    version: Literal[1] = 1
    tokens: list[Token] = []


def wall_clock_us() -> int:
    """Now, microseconds since 1970."""
    return time.time_ns() // 1000


def hash_of(secret: str) -> str:
    """What the file holds of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def create_token(
    path: Path,
    name: str,
    *,
    tenants: Sequence[str],
    sources: Sequence[str] = (),
    may: Sequence[str] = ("post",),
    expires_in_us: int | None = None,
    now_us: int | None = None,
) -> str:
    """Add a token to the file, which is made where it is missing.

    Args:
        path: of the file.
        name: no other live token has it; `A-Z a-z 0-9 . _ @ -`, at most 64.
        tenants: exact names, or `*`; at least one.
        sources: patterns; at least one where it may post.
        may: of `post`, `read`, `respond`; at least one.
        expires_in_us: from now; None: never.
        now_us: the clock.

    Returns:
        The secret; it is kept nowhere.

    Raises:
        TokensRefused: an argument is wrong, the name is taken, or the file is not one of tokens.
    """
    now_us = wall_clock_us() if now_us is None else now_us
    _check(name, tenants, sources, may)
    if expires_in_us is not None and now_us + expires_in_us >= TIME_END_US:
        raise TokensRefused("expires: expected an end in the years up to 2261; leave it out for a token without one")
    secret = _PREFIX + secrets.token_urlsafe(32)
    token = Token(
        name=name,
        hash=hash_of(secret),
        tenants=list(tenants),
        sources=list(sources),
        may=[right for right in get_args(Right) if right in may],
        created_at=format_time(now_us),
        expires_at="" if expires_in_us is None else format_time(now_us + expires_in_us),
    )
    with _changing(path) as file:
        if any(known.name == name and known.state(now_us) == "live" for known in file.tokens):
            raise TokensRefused(
                f"a live token is called {name!r} already: choose another name, or revoke that one first"
            )
        file.tokens.append(token)
    return secret


def revoke_token(path: Path, name: str, now_us: int | None = None) -> int:
    """Revoke what is called so; the server knows with its next request.

    Returns:
        How many live tokens it were: 0 or 1.

    Raises:
        TokensRefused: the file is not one of tokens.
    """
    now_us = wall_clock_us() if now_us is None else now_us
    count = 0
    with _changing(path) as file:
        for token in file.tokens:
            if token.name == name and token.state(now_us) == "live":
                token.revoked_at = format_time(now_us)
                count += 1
    return count


def read_tokens(path: Path) -> list[Token]:
    """The tokens of the file, in the order in which they were created; none where there is no file.

    Raises:
        TokensRefused: it cannot be read, others may write to it, or it is not one of tokens.
    """
    try:
        text = read_owned(path)
    except OthersMayWrite as error:
        raise TokensRefused(f"{path}: {error}, or they make tokens") from error
    except OSError as error:
        raise TokensRefused(f"{path} cannot be read: {error.strerror or error}") from error
    if text is None:
        return []
    try:
        return _File.model_validate_json(text).tokens
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "json"
        raise TokensRefused(f"{path}: {where}: {first['msg']}; `stepwatch token` writes this file") from None


class Tokens:
    """The tokens of a file, read again whenever it changed.

    Args:
        path: of the file.
        clock: microseconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], int] = wall_clock_us) -> None:
        self.path = path
        self._clock = clock
        self._seen: Stamp | None = None
        self._tokens: list[Token] = []

    def find(self, secret: str) -> Token | None:
        """The live token with this secret, or None.

        Raises:
            TokensRefused: the file cannot be used; nobody is let in then, since it may hold a revocation.
        """
        self._refresh()
        wanted = hash_of(secret)
        # Each is compared, wholly: how long it takes says nothing about any of them.
        found = [token for token in self._tokens if compare_digest(token.hash, wanted)]
        now_us = self._clock()
        return next((token for token in found if token.state(now_us) == "live"), None)

    def _refresh(self) -> None:
        seen = stamp_of(self.path)
        if seen is None or seen != self._seen:
            self._seen = None
            self._tokens = read_tokens(self.path)
            self._seen = seen


def _check(name: str, tenants: Sequence[str], sources: Sequence[str], may: Sequence[str]) -> None:
    if not _NAME.fullmatch(name):
        raise TokensRefused(f"name: expected 1 to 64 of A-Z a-z 0-9 . _ @ -, got {name!r}")
    if not tenants:
        raise TokensRefused("tenant: missing; say which, or '*' for all")
    for tenant in tenants:
        if tenant != ANY_TENANT and not TENANT.fullmatch(tenant):
            raise TokensRefused(f"tenant: expected 1 to 64 of A-Z a-z 0-9 . _ -, or '*', got {tenant!r}")
    if not may or not set(may) <= set(get_args(Right)):
        raise TokensRefused(
            f"may: expected one or more of {', '.join(get_args(Right))}, got {', '.join(may) or 'none'}"
        )
    if "post" in may and not all(sources):
        raise TokensRefused("source: expected a name or a pattern, got an empty text")
    if "post" in may and not sources:
        raise TokensRefused("source: missing; say in whose name it may post (/payments/*), or '*' for any")


@contextmanager
def _changing(path: Path) -> Iterator[_File]:
    """The file's content, written back whole at the end; whoever else changes it meanwhile waits."""
    try:
        with locked(path):
            file = _File(tokens=read_tokens(path))
            yield file
            replace_owned(path, file.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise TokensRefused(f"{path} cannot be written: {error.strerror or error}") from error
