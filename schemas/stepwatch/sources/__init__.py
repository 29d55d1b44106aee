"""Other products' logs, said in the contract's words: one adapter per product, by the mould of `base.py`.

An adapter's module, with its tables, is imported when it is first asked for: who reads one product's log does not
wait for the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from stepwatch.sources.base import Adapter, Event, Skip

if TYPE_CHECKING:
    from stepwatch.sources.cloudtrail import CloudTrail
    from stepwatch.sources.duo import Duo
    from stepwatch.sources.entra import Entra
    from stepwatch.sources.github import GitHub
    from stepwatch.sources.keycloak import Keycloak
    from stepwatch.sources.okta import Okta

_CLASSES: Final = {
    "okta": "Okta",
    "cloudtrail": "CloudTrail",
    "entra": "Entra",
    "keycloak": "Keycloak",
    "github": "GitHub",
    "duo": "Duo",
}
"""By the word after `--from`, which is also the module's name."""


class _Adapters(Mapping[str, Adapter]):
    """Each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Adapter] = {}

    def __getitem__(self, name: str) -> Adapter:
        if name not in self._made:
            made = _CLASSES[name]
            self._made[name] = getattr(import_module(f"{__name__}.{name}"), made)()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


ADAPTERS: Final[Mapping[str, Adapter]] = _Adapters()
"""By the word after `--from`. `stepwatch` (events as they are) needs no adapter."""


def __getattr__(name: str) -> Any:
    """An adapter's class by its name (PEP 562)."""
    for module, adapter in _CLASSES.items():
        if name == adapter:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["ADAPTERS", "Adapter", "CloudTrail", "Duo", "Entra", "Event", "GitHub", "Keycloak", "Okta", "Skip"]
