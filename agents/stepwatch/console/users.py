"""Who may sign in: the password file, with a role and tenants for each user (argon2id hashes only)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

import argon2
from pydantic import BaseModel, ConfigDict, ValidationError

from stepwatch.agents.errors import EXIT_CONFIGURATION, RoleError
from stepwatch.agents.owned_files import OthersMayWrite, Stamp, locked, read_owned, replace_owned, stamp_of
from stepwatch.schemas.faults import TENANT

Role = Literal["viewer", "responder", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""From the least to the most: each may do what those before it may."""
ANY_TENANT: Final = "*"
PASSWORD_MIN: Final = 10
PASSWORD_MAX: Final = 512
"""Characters: hashing a megabyte would be work for nothing."""
_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_HASHER: Final = argon2.PasswordHasher()
"""RFC 9106's second recommendation: 64 MiB and some 50 ms for each try."""


class UsersRefused(RoleError):
    """The password file, or what is asked of it, is not as it must be."""

    code = "users_refused"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class User(BaseModel):
    """One user as the file holds it.

    Attributes:
        hash: of the password, as argon2 encodes it.
        role: viewer reads, responder also answers alerts, admin may do everything.
        tenants: exact names, or `*`.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    name: str
    hash: str
    role: Role
    tenants: tuple[str, ...]

    def may(self, role: Role) -> bool:
        """Whether this user may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, tenant: str) -> bool:
        """Whether a tenant's data is shown; `""` is what belongs to no tenant, such as a silent source."""
        return ANY_TENANT in self.tenants or tenant in self.tenants

    @property
    def sees_all(self) -> bool:
        """Whether every tenant's data is shown."""
        return ANY_TENANT in self.tenants


class _File(BaseModel):
    # From JSON a tuple is a list, which strictness would refuse; its members are strict all the same.
    model_config = ConfigDict(extra="forbid")
    version: Literal[1] = 1
    users: list[User] = []


def read_users(path: Path) -> dict[str, User]:
    """The users of the file by name; none where there is no file.

    Raises:
        UsersRefused: it cannot be read, others may write to it, or it is no password file.
    """
    try:
        text = read_owned(path)
    except OthersMayWrite as error:
        raise UsersRefused(f"{path}: {error}") from error
    except OSError as error:
        raise UsersRefused(f"{path} cannot be read: {error.strerror or error}") from error
    if text is None:
        return {}
    try:
        return {user.name: user for user in _File.model_validate_json(text).users}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "json"
        raise UsersRefused(f"{path}: {where}: {first['msg']}; `stepwatch console passwd` writes this file") from None


def set_user(path: Path, name: str, password: str, role: str, tenants: Sequence[str]) -> bool:
    """Add a user, or give one that is there another password, role and tenants; all its sessions end.

    Args:
        path: of the file, which is made where it is missing.
        name: `A-Z a-z 0-9 . _ @ -`, at most 64.
        password: 10 to 512 characters.
        role: viewer, responder or admin.
        tenants: exact names, or `*`; at least one.

    Returns:
        Whether the user is new.

    Raises:
        UsersRefused: an argument is wrong, or the file is no password file.
    """
    _check(name, password, tenants)
    if role not in ROLES:
        raise UsersRefused(f"role: expected one of {', '.join(ROLES)}, got {role!r}")
    user = User(name=name, hash=_HASHER.hash(password), role=role, tenants=tuple(tenants))
    with _changing(path) as users:
        is_new = name not in users
        users[name] = user
    return is_new


def remove_user(path: Path, name: str) -> bool:
    """Remove a user, whose sessions end with the next request; False where there is none of that name.

    Raises:
        UsersRefused: the file is no password file.
    """
    with _changing(path) as users:
        return users.pop(name, None) is not None


def is_password(user: User | None, password: str) -> bool:
    """Whether a password is the user's; takes as long where there is no such user. Some 50 ms: for a thread."""
    if len(password) > PASSWORD_MAX:
        return False
    try:
        return _HASHER.verify(_nobodys_hash() if user is None else user.hash, password) and user is not None
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


class Users:
    """The users of a file, read again whenever it changed.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: Stamp | None = None
        self._users: dict[str, User] = {}

    def now(self) -> dict[str, User]:
        """The users by name, as the file says now; none where there is no file.

        Raises:
            UsersRefused: the file cannot be used; nobody is let in then, since it may have removed somebody.
        """
        seen = stamp_of(self.path)
        if seen is None or seen != self._seen:
            self._seen = None
            self._users = read_users(self.path)
            self._seen = seen
        return self._users


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("the password of nobody")


def _check(name: str, password: str, tenants: Sequence[str]) -> None:
    if not _NAME.fullmatch(name):
        raise UsersRefused(f"name: expected 1 to 64 of A-Z a-z 0-9 . _ @ -, got {name!r}")
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise UsersRefused(f"password: expected {PASSWORD_MIN} to {PASSWORD_MAX} characters, got {len(password)}")
    if not tenants:
        raise UsersRefused("tenant: missing; say which, or '*' for all")
    for tenant in tenants:
        if tenant != ANY_TENANT and not TENANT.fullmatch(tenant):
            raise UsersRefused(f"tenant: expected 1 to 64 of A-Z a-z 0-9 . _ -, or '*', got {tenant!r}")


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, User]]:
    """The users of the file, written back whole at the end; whoever else changes them meanwhile waits."""
    try:
        with locked(path):
            users = read_users(path)
            yield users
            replace_owned(path, _File(users=list(users.values())).model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise UsersRefused(f"{path} cannot be written: {error.strerror or error}") from error
