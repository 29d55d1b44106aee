"""Other products' logs, said in the contract's words: one adapter per product, by the mould of `base.py`."""

from __future__ import annotations

from typing import Final

from stepwatch.sources.base import Adapter, Event, Skip
from stepwatch.sources.cloudtrail import CloudTrail
from stepwatch.sources.duo import Duo
from stepwatch.sources.entra import Entra
from stepwatch.sources.github import GitHub
from stepwatch.sources.keycloak import Keycloak
from stepwatch.sources.okta import Okta

ADAPTERS: Final[dict[str, Adapter]] = {
    adapter.name: adapter for adapter in (Okta(), CloudTrail(), Entra(), Keycloak(), GitHub(), Duo())
}
"""By the word after `--from`. `stepwatch` (events as they are) needs no adapter."""

__all__ = ["ADAPTERS", "Adapter", "CloudTrail", "Duo", "Entra", "Event", "GitHub", "Keycloak", "Okta", "Skip"]
