"""Alias -> canonical subject (contract sections 1 and 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from stepwatch.schemas.policy import Identity
from stepwatch.streams.loading import LoadedFile
from stepwatch.streams.yamltext import Problem

ALL: Final = "*"
"""The scope of what holds in every tenant; no tenant can be called so."""


class Identities:
    """All aliases of a set."""

    __slots__ = ("_for_all", "_in_tenant")

    def __init__(self, aliases: Mapping[tuple[str, str], str]) -> None:
        """Take aliases as (tenant or ALL, alias) -> subject."""
        self._in_tenant = {key: subject for key, subject in aliases.items() if key[0] != ALL}
        self._for_all = {alias: subject for (scope, alias), subject in aliases.items() if scope == ALL}

    @property
    def any(self) -> bool:
        """Whether there is any alias."""
        return bool(self._in_tenant or self._for_all)

    def canonical(self, tenant: str, subject: str) -> str:
        """The canonical id: the subject itself where it is no alias. The tenant's aliases go before all's."""
        if self._in_tenant:
            named = self._in_tenant.get((tenant, subject))
            if named is not None:
                return named
        return self._for_all.get(subject, subject)


def build_identities(entries: Iterable[tuple[LoadedFile, int, Identity]]) -> tuple[Identities, list[Problem]]:
    """Put the identities of all files of a set together.

    Args:
        entries: each with its file and its place in the file's `identities`.

    Returns:
        The aliases, and a problem for each alias that names two subjects in one scope or is itself another
        subject of a tenant in which it holds.
    """
    entries = list(entries)
    scopes_of_subject: dict[str, set[str]] = {}
    for _, _, identity in entries:
        scopes_of_subject.setdefault(identity.subject, set()).update(_scopes(identity))
    aliases: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for file, index, identity in entries:
        for number, alias in enumerate(identity.aliases):
            if alias == identity.subject:
                continue
            scopes = _scopes(identity)
            path = ("identities", index, "aliases", number)
            if _overlap(scopes, scopes_of_subject.get(alias, set())):
                problems.append(file.problem(path, f"{alias!r} is an alias and also another subject"))
            others = {aliases.setdefault((scope, alias), identity.subject) for scope in scopes}
            for other in sorted(others - {identity.subject}):
                problems.append(
                    file.problem(path, f"{alias!r} is an alias of two subjects, {other!r} and {identity.subject!r}")
                )
    return Identities(aliases), problems


def _scopes(identity: Identity) -> set[str]:
    return {ALL} if not identity.tenant or ALL in identity.tenant else set(identity.tenant)


def _overlap(some: set[str], others: set[str]) -> bool:
    return bool(some and others) and (ALL in some or ALL in others or not some.isdisjoint(others))
