"""Every event name of every product that has an action of its own, as one table for each product."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Final

from stepwatch.sources.actions import Deed, plain_word

PLACES: Final[dict[str, tuple[str, ...]]] = {
    "okta": ("okta_actions.ACTIONS",),
    "cloudtrail": ("cloudtrail_actions.ACTIONS",),
    "entra": ("entra_actions.ACTIONS",),
    "keycloak": ("keycloak_actions.USER_ACTIONS", "keycloak_actions.ADMIN_ACTIONS"),
    "github": ("github_actions.ACTIONS",),
    "duo": ("duo_actions.ACTIONS",),
}
"""Where an adapter looks an event name up, by the word after `--from`."""


@cache
def tables_of(source: str) -> tuple[dict[str, Deed], ...]:
    """The adapter's own tables, not copies: what is put in counts from then on.

    Raises:
        KeyError: no such source.
    """
    found: list[dict[str, Deed]] = []
    for place in PLACES[source]:
        module, _, name = place.partition(".")
        found.append(getattr(import_module(f"stepwatch.sources.{module}"), name))
    return tuple(found)


def actions_of(source: str) -> Iterator[tuple[str, Deed]]:
    """Each event name of a source with what it means, by action and then by name."""
    rows = (row for table in tables_of(source) for row in table.items())
    return iter(sorted(rows, key=lambda row: (row[1].action, row[0])))


def find(source: str, event: str) -> Deed | None:
    """What the tables of a source say of an event name; None where they have none."""
    name = _key(source, event)
    return next((table[name] for table in tables_of(source) if name in table), None)


def put(source: str, event: str, deed: Deed) -> None:
    """Let a deed stand for an event name, in this process and from now on."""
    tables, name = tables_of(source), _key(source, event)
    # Keycloak's user events are one word, its admin events several with dots.
    tables[-1 if "." in name else 0][name] = deed
    for place in PLACES[source]:
        derived = getattr(import_module(f"stepwatch.sources.{place.partition('.')[0]}"), "deed_of", None)
        if derived is not None:
            derived.cache_clear()


def _key(source: str, event: str) -> str:
    """Entra ID writes one activity with dashes, dots and spaces now so, now so: its tables have plain words."""
    return plain_word(event) if source == "entra" else event
