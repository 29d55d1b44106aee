"""An adapter is imported when it is asked for, and not with the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

import stepwatch.sources
from stepwatch.sources import ADAPTERS, CloudTrail, Okta

PRODUCTS = ("cloudtrail", "duo", "entra", "github", "keycloak", "okta")


def imported_by(code: str) -> list[str]:
    """Which products' modules a fresh interpreter has imported after this code."""
    ask = f"import sys; print(*(name for name in {PRODUCTS} if 'stepwatch.sources.' + name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{ask}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from stepwatch.sources import ADAPTERS, Adapter, Event, Skip; sorted(ADAPTERS); 'okta' in ADAPTERS", []),
        ("from stepwatch.sources import ADAPTERS; ADAPTERS['okta']", ["okta"]),
        ("from stepwatch.sources import Duo", ["duo"]),
        ("from stepwatch.sources import ADAPTERS; list(ADAPTERS.values())", list(PRODUCTS)),
    ],
)
def test_only_what_is_asked_for_is_imported(code: str, names: list[str]) -> None:
    assert imported_by(code) == names


def test_an_adapter_is_the_same_each_time_and_of_its_class() -> None:
    assert ADAPTERS["okta"] is ADAPTERS["okta"]
    assert isinstance(ADAPTERS["okta"], Okta)
    assert isinstance(ADAPTERS["cloudtrail"], CloudTrail)
    assert sorted(ADAPTERS) == list(PRODUCTS)
    assert {name: adapter.name for name, adapter in ADAPTERS.items()} == {name: name for name in ADAPTERS}


def test_what_is_not_there_is_no_adapter() -> None:
    assert "octa" not in ADAPTERS
    with pytest.raises(KeyError):
        ADAPTERS["octa"]
    with pytest.raises(AttributeError, match="has no attribute 'Octa'"):
        stepwatch.sources.Octa  # noqa: B018


def test_every_public_name_is_there() -> None:
    assert [name for name in stepwatch.sources.__all__ if not hasattr(stepwatch.sources, name)] == []
