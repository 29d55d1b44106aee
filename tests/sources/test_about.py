"""What is told of a source is true of its adapter, and the options of policies follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from stepwatch.schemas import events as t
from stepwatch.schemas.policy import Require
from stepwatch.sources import ADAPTERS, Skip
from stepwatch.sources.about import MEMBERS, About, facts, options, patterns
from stepwatch.sources.about_products import ABOUT
from tests.sources.reading import lines_of, read, shared
from tests.sources.test_any_input import OWN
from tests.sources.test_real_files import FILES
from tests.sources.whole_rows import WHOLE

SOURCES = sorted(ABOUT)
Seen = dict[str, set[str]]


def seen_in(name: str, rows: Iterable[Any]) -> Seen:
    """The members of each type of event that an adapter makes of rows."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        for event in read(name, row):
            if not isinstance(event, Skip):
                data = event["data"]
                client = {f"client.{member}" for member in data.get("client", {})}
                seen[event["type"]] |= {*data, *client} & set(MEMBERS)
    return dict(seen)


def beyond(seen: Seen, about: About) -> Seen:
    """What was seen and is not told."""
    more = {kind: members - about.yields.get(kind, frozenset()) for kind, members in seen.items()}
    return {kind: members for kind, members in more.items() if members or kind not in about.yields}


def test_every_adapter_is_told_of_in_the_same_order() -> None:
    assert list(ABOUT) == list(ADAPTERS)


@pytest.mark.parametrize("name", SOURCES)
def test_its_source_is_the_one_that_policies_list(name: str) -> None:
    assert ABOUT[name].source == ADAPTERS[name].source  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SOURCES)
def test_each_thing_that_is_told_of_a_source_is_in_some_row_and_nothing_else_is(name: str) -> None:
    assert seen_in(name, WHOLE[name]) == {kind: set(members) for kind, members in ABOUT[name].yields.items()}


@pytest.mark.parametrize("name", SOURCES)
def test_no_row_of_our_own_says_more_than_is_told(name: str) -> None:
    assert beyond(seen_in(name, OWN[name]), ABOUT[name]) == {}


@pytest.mark.parametrize(("name", "folder", "file"), [(name, folder, file) for name, folder, file, _ in FILES])
def test_no_row_of_a_real_log_says_more_than_is_told(name: str, folder: str, file: str) -> None:
    assert beyond(seen_in(name, lines_of(shared("data", folder, file))), ABOUT[name]) == {}


@pytest.mark.parametrize("name", SOURCES)
def test_every_sentence_is_about_something_that_is_asked(name: str) -> None:
    about = ABOUT[name]
    asked = {answer.name for answer in (*facts(about), *options(about), *patterns(about))}
    assert set(about.limits) <= asked


@pytest.mark.parametrize("name", SOURCES)
def test_whatever_can_never_be_met_says_why(name: str) -> None:
    about = ABOUT[name]
    unexplained = [a.name for a in (*options(about), *patterns(about)) if a.can == "never" and not a.why]
    assert unexplained == []


def test_every_option_of_require_is_answered() -> None:
    answered = {answer.name.partition(":")[0] for answer in options(ABOUT["okta"])}
    assert answered == set(Require.model_fields)


@pytest.mark.parametrize(
    ("name", "option", "can"),
    [
        ("okta", "amr_any", "yes"),
        ("okta", "same_session", "partly"),
        ("okta", "acr_any", "never"),
        ("okta", "binding: transaction", "never"),
        ("cloudtrail", "same_session", "partly"),
        ("cloudtrail", "same_device", "never"),
        ("entra", "same_session", "never"),
        ("entra", "accept: [step_up]", "yes"),
        ("keycloak", "accept: [step_up]", "never"),
        ("keycloak", "acr_any", "partly"),
        ("github", "amr_any", "never"),
        ("github", "accept: [login]", "never"),
        ("duo", "same_session", "never"),
        ("duo", "amr_any", "yes"),
    ],
)
def test_an_option_can_be_met_where_the_rows_say_what_it_needs(name: str, option: str, can: str) -> None:
    assert {answer.name: answer.can for answer in options(ABOUT[name])}[option] == can


@pytest.mark.parametrize(
    ("name", "pattern", "can"),
    [
        ("okta", "denied_then_acted", "yes"),
        ("github", "denied_then_acted", "never"),
        ("okta", "replayed_code", "never"),
        ("entra", "self_approval", "yes"),
        ("duo", "self_approval", "never"),
        ("duo", "fresh_credential", "yes"),
    ],
)
def test_a_pattern_can_be_raised_where_the_rows_say_what_it_needs(name: str, pattern: str, can: str) -> None:
    assert {answer.name: answer.can for answer in patterns(ABOUT[name])}[pattern] == can


def test_a_login_that_says_no_factor_is_no_proof_of_the_source() -> None:
    about = ABOUT["github"]
    assert about.has(t.SESSION_STARTED)
    assert not about.has(t.SESSION_STARTED, "amr")
