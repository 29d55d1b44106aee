"""Other products' logs, said in the contract's words: one adapter per product, by the mould of `base.py`."""

from __future__ import annotations

from typing import Final

from stepwatch.sources.base import Adapter, Event, Skip
from stepwatch.sources.cloudtrail import CloudTrail
from stepwatch.sources.okta import Okta

ADAPTERS: Final[dict[str, Adapter]] = {adapter.name: adapter for adapter in (Okta(), CloudTrail())}
"""By the word after `--from`. `stepwatch` (events as they are) needs no adapter."""

__all__ = ["ADAPTERS", "Adapter", "CloudTrail", "Event", "Okta", "Skip"]
