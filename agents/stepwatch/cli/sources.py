"""`stepwatch sources list|describe|actions`: which logs are read, and what can be known from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import GAP, paint, table, width, wrapped

if TYPE_CHECKING:
    from stepwatch.sources.about import About, Answer

commands = typer.Typer(no_args_is_help=True, help="Which products' logs are read, and what can be known from them.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_COLOURS = {"yes": "green", "partly": "yellow", "never": "red"}


@commands.command(name="list")
def list_sources(as_json: AsJson = False) -> None:
    """List the products whose logs are read.

    The first column is the word after `--from`, the second the name under `sources` in a policy file.
    """
    from stepwatch.sources.about_products import ABOUT

    if as_json:
        for about in ABOUT.values():
            print(json.dumps(_summary(about), ensure_ascii=False))
        return
    header = ["name", "source", "proves", "same_session", "usual delay", "product"]
    rows = [
        [about.name, about.source, _proves(about), _sessions(about), about.delay.usual or "no figure", about.title]
        for about in ABOUT.values()
    ]
    print(table(header, rows, whole={0, 1}))


@commands.command()
def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `sources list` has it.")], as_json: AsJson = False
) -> None:
    """Say what a source can and cannot know, and which options of a policy can be met on it.

    Exit status 0; 2 where there is no such source.
    """
    from stepwatch.sources.about import facts, options, patterns

    about = _about(name)
    parts = {"knows": facts(about), "options": options(about), "patterns": patterns(about)}
    if as_json:
        answers = {part: [answer._asdict() for answer in found] for part, found in parts.items()}
        print(json.dumps(_summary(about) | _details(about) | answers, ensure_ascii=False))
        return
    print("\n".join(_page(about, list(parts.values()))))


@commands.command()
def actions(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of this source; default: of all.")] = None,
    actions_file: ActionsFile = None,
    as_json: AsJson = False,
) -> None:
    """Show which events of a product are which actions, on what, and how sensitive.

    Names are `area.thing.verb`, the same deed under the same name in every product: match them in policies. An
    event that is not listed has a name derived from its own. Exit status 0; 2 where there is no such source, or
    the file of `--actions` is refused.
    """
    from stepwatch.sources.about_products import ABOUT
    from stepwatch.sources.tables import actions_of

    names = list(ABOUT) if name is None else [_about(name).name]
    use_actions(actions_file)
    header = ["source", "event", "action", "resource", "sensitivity"]
    rows = [
        [source, event, deed.action, deed.resource, deed.sensitivity]
        for source in names
        for event, deed in actions_of(source)
    ]
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False))
        return
    print(table(header, rows))


def _about(name: str) -> About:
    from stepwatch.sources.about_products import ABOUT

    if name not in ABOUT:
        raise Misused(f"{name}: no such source; known are {', '.join(ABOUT)}")
    return ABOUT[name]


def _proves(about: About) -> str:
    from stepwatch.sources.about import options

    kinds = {"accept: [step_up]": "step_up", "accept: [login]": "login"}
    return ", ".join(kinds[a.name] for a in options(about) if a.name in kinds and a.can != "never") or "nothing"


def _sessions(about: About) -> str:
    from stepwatch.sources.about import options

    return next(answer.can for answer in options(about) if answer.name == "same_session")


def _summary(about: About) -> dict[str, Any]:
    return {
        "name": about.name,
        "source": about.source,
        "product": about.title,
        "proves": _proves(about).split(", "),
        "same_session": _sessions(about),
        "usual_delay": about.delay.usual or None,
        "policy_file": about.policy_file,
    }


def _details(about: About) -> dict[str, Any]:
    return {
        "reads": about.reads,
        "subject": about.subject,
        "good_for": about.good_for,
        "delay": about.delay.words,
        "delay_source": about.delay.url,
        "events": sorted(about.yields),
        "watch": list(about.watch),
    }


def _page(about: About, parts: list[list[Answer]]) -> Iterator[str]:
    """The page of one source, line by line."""
    late = f"{about.delay.usual or 'no figure'}: {about.delay.words}"
    yield paint(f"{about.name}: {about.title}", "bold")
    for label, words in (
        ("good for", about.good_for),
        ("reads", about.reads),
        ("in policies", f"sources: [{{name: {about.source}, proves: [{_proves(about)}]}}]"),
        ("a person is", about.subject),
        ("late by", late),
        ("says so", about.delay.url),
        ("policies", about.policy_file),
        ("ship it", _command(about)),
    ):
        yield _hanging(f"{label:>11}{GAP}", 13, words)
    titles = ("What it knows", "What a policy may `require` of its own proofs", "Patterns that its events raise")
    for title, answers in zip(titles, parts, strict=True):
        yield ""
        yield paint(title, "bold")
        yield from map(_line, answers)
    yield ""
    yield paint("Events it yields", "bold")
    yield wrapped(", ".join(kind.removeprefix("stepwatch.") for kind in about.yields), width(), GAP)
    yield ""
    yield paint("Know this", "bold")
    yield from (_hanging("- ", 2, words) for words in about.watch)


def _command(about: About) -> str:
    lag = f" --lag {about.delay.usual}" if about.delay.usual else ""
    return f"stepwatch send --from {about.name} --follow{lag} FILE"


def _line(answer: Answer) -> str:
    can = paint(f"{answer.can:<6}", _COLOURS[answer.can])
    return _hanging(f"{GAP}{can}{GAP}", 10, answer.name + (f": {answer.why}" if answer.why else ""))


def _hanging(head: str, columns: int, words: str) -> str:
    """Words behind a head of so many columns, and below each other where the terminal is too narrow for them."""
    room = width()
    return head + wrapped(words, None if room is None else room - columns, "").replace("\n", "\n" + " " * columns)
