"""The routing file: which alert goes to which channel, and on which terms; refused whole, with file, line and field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from stepwatch.notifiers.delivery import Receiver
from stepwatch.notifiers.disclosure import Disclosure
from stepwatch.notifiers.mutes import Match, Mute
from stepwatch.notifiers.notices import ShownAlert
from stepwatch.notifiers.receivers import ChannelConfig, ReceiverWrong, build_receiver, split_channel
from stepwatch.schemas.policy import Duration, Name
from stepwatch.schemas.times import SECOND_US
from stepwatch.streams.yamltext import Path, Problem, read_yaml, show_path

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
STORM_MORE_THAN = 5
_CHANNEL = r"^[A-Za-z0-9._-]{1,64}$"


class RoutesRefused(Exception):
    """A routing file with a fault is refused whole; the message has a line for each complaint."""

    code = "routes_refused"
    exit_status = 2
    retriable = False

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


class Rate(BaseModel):
    """How often a channel may ring; resolving and acknowledging do not ring, and critical alerts always may."""

    model_config = _STRICT
    per_minute: Annotated[int, Field(ge=1)]


class Terms(BaseModel):
    """What a channel has beside its receiver."""

    model_config = _STRICT
    rate: Rate | None = None
    disclosure: Annotated[Disclosure, BeforeValidator(lambda value: _disclosure(value))] | None = None


class Escalate(BaseModel):
    """The channel that is told too, where the first one does not take it."""

    model_config = _STRICT
    to: Name
    after_failures: Annotated[int, Field(ge=1)] | None = None
    after: Duration | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.after_failures is None and self.after is None:
            raise ValueError("expected `after_failures`, `after` or both")
        return self

    @property
    def after_s(self) -> float | None:
        """`after` in seconds."""
        return None if self.after is None else self.after / SECOND_US


class Route(BaseModel):
    """Where alerts that match go; `to: []` is nobody, on purpose."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)
    match: Match = Match()
    to: list[Name]
    escalate: Escalate | None = None
    goes_on: Annotated[bool, Field(alias="continue")] = False


class Storm(BaseModel):
    """From how many new alerts of one policy, kind and tenant in a minute on they share one incident."""

    model_config = _STRICT
    more_than: Annotated[int, Field(ge=1)] = STORM_MORE_THAN


class _File(BaseModel):
    model_config = _STRICT
    version: int
    console_url: str = ""
    pseudonym_key_file: str = ""
    disclosure: Annotated[Disclosure, BeforeValidator(lambda value: _disclosure(value))] = Disclosure.FULL
    storm: Storm = Storm()
    channels: Annotated[list[dict[str, Any]], Field(min_length=1)]
    routes: Annotated[list[Route], Field(min_length=1)]
    mutes: list[Mute] = []


def _disclosure(value: object) -> object:
    if isinstance(value, str) and value in {level.value for level in Disclosure}:
        return Disclosure(value)
    if isinstance(value, Disclosure):
        return value
    raise ValueError("expected full, ids or minimal")


class Channel(NamedTuple):
    """One channel of the file, and where its receiver stands in it."""

    config: ChannelConfig
    terms: Terms


class Target(NamedTuple):
    """That an alert goes to a channel, by which route (from 0), and who is told where that fails."""

    channel: str
    route: int
    escalate: Escalate | None


@dataclass(frozen=True, slots=True)
class Routes:
    """A routing file that was found good.

    Attributes:
        name: of the file.
        channels: by name, in the file's order.
        pseudonym_key: for `disclosure: ids`.
        pseudonym_key_file: where it was read; "" for nowhere.
    """

    name: str
    channels: dict[str, Channel]
    routes: tuple[Route, ...]
    mutes: tuple[Mute, ...]
    storm: Storm
    console_url: str
    disclosure: Disclosure
    pseudonym_key: bytes
    pseudonym_key_file: str = ""

    def secret_files(self) -> list[tuple[str, FilePath]]:
        """(field, path) of each file that holds a secret."""
        found = [("pseudonym_key_file", FilePath(self.pseudonym_key_file))] if self.pseudonym_key_file else []
        for name, channel in self.channels.items():
            for field, value in channel.config:
                # The certificates of an authority are no secret.
                if field.endswith(("_file", "_files")) and field != "ca_file" and value is not None:
                    paths = value if isinstance(value, tuple) else (value,)
                    found += [(f"channels[{name}].{field}", path) for path in paths]
        return found

    def targets(self, alert: ShownAlert) -> list[Target]:
        """The channels of an alert: of the first route that matches, and of those after a `continue`; each once."""
        found: dict[str, Target] = {}
        for number, route in enumerate(self.routes):
            if route.match.matches(alert):
                for channel in route.to:
                    found.setdefault(channel, Target(channel, number, route.escalate))
                if not route.goes_on:
                    break
        return list(found.values())

    def disclosure_of(self, channel: str) -> Disclosure:
        """How much of a person a channel may see."""
        return self.channels[channel].terms.disclosure or self.disclosure

    def per_minute(self, channel: str) -> int | None:
        """How often a channel may ring in a minute; None: no limit."""
        rate = self.channels[channel].terms.rate
        return None if rate is None else rate.per_minute

    def open_receivers(self) -> dict[str, Receiver]:
        """A receiver for each channel, its secrets read from their files.

        Raises:
            RoutesRefused: one cannot be built: a secret's file is missing, an address is none.
        """
        receivers, problems = {}, []
        for name, channel in self.channels.items():
            try:
                receivers[name] = build_receiver(channel.config)
            except ReceiverWrong as wrong:
                problems.append(Problem(self.name, 0, f"channels[{name}]", str(wrong)))
        if problems:
            raise RoutesRefused(problems)
        return receivers


def load_routes(path: FilePath) -> Routes:
    """Read a routing file.

    Raises:
        RoutesRefused: it cannot be read, or something in it is wrong; each complaint with line and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror or str(error) if isinstance(error, OSError) else "no UTF-8 text"
        raise RoutesRefused([Problem(str(path), 0, "", f"cannot be read: {said}")]) from None
    return parse_routes(str(path), text)


def parse_routes(name: str, text: str) -> Routes:
    """As `load_routes`, of a text."""
    document = read_yaml(name, text)
    problems = list(document.problems)
    if document.data is None and not document.lines and not problems[0].field:
        # Of an empty file the reader says what a policy file would need.
        said = problems[0].message.replace("`version: 1` and `policies`", "`version: 1`, `channels` and `routes`")
        problems = [problems[0]._replace(message=said)]
    reader = _Reading(name, document.lines, problems)
    file = reader.file(document.data) if document.data is not None else None
    if file is None or problems:
        raise RoutesRefused(problems)
    channels = reader.channels(file)
    reader.check(file, channels)
    key = reader.pseudonym_key(file)
    if problems:
        raise RoutesRefused(problems)
    return Routes(
        name,
        channels,
        tuple(file.routes),
        tuple(file.mutes),
        file.storm,
        file.console_url,
        file.disclosure,
        key,
        file.pseudonym_key_file,
    )


class _Reading:
    """Reads one file, and gathers every complaint about it."""

    def __init__(self, name: str, lines: dict[Path, int], problems: list[Problem]) -> None:
        self._name = name
        self._lines = lines
        self._problems = problems

    def file(self, data: object) -> _File | None:
        try:
            file = _File.model_validate(data)
        except ValidationError as refused:
            for path, words in _complaints(refused):
                self._complain(path, words)
            return None
        if file.version != 1:
            self._complain(
                ("version",), f"expected 1, the only version of routing files that there is; got {file.version}"
            )
        return file

    def channels(self, file: _File) -> dict[str, Channel]:
        channels: dict[str, Channel] = {}
        for number, mapping in enumerate(file.channels):
            path: Path = ("channels", number)
            config_part, terms_part = split_channel(mapping)
            config = self._checked(path, TypeAdapter(ChannelConfig), config_part, drop=str(mapping.get("type")))
            terms = self._checked(path, TypeAdapter(Terms), terms_part)
            if config is None or terms is None:
                continue
            if config.name in channels:
                self._complain((*path, "name"), f"{config.name}: there are two channels of this name")
            channels[config.name] = Channel(config, terms)
        return channels

    def _checked(self, path: Path, adapter: TypeAdapter[Any], part: object, drop: str = "") -> Any:
        try:
            return adapter.validate_python(part)
        except ValidationError as refused:
            for inner, words in _complaints(refused):
                # Within a union pydantic names the member first, which is no key of the file.
                self._complain((*path, *(inner[1:] if inner[:1] == (drop,) else inner)), words)
            return None

    def check(self, file: _File, channels: dict[str, Channel]) -> None:
        if self._problems:
            return
        known = ", ".join(channels)
        for number, route in enumerate(file.routes):
            path: Path = ("routes", number)
            for place, channel in enumerate(route.to):
                if channel not in channels:
                    self._complain((*path, "to", place), f"{channel}: no such channel; there are {known}")
            if route.escalate is not None and route.escalate.to not in channels:
                self._complain((*path, "escalate", "to"), f"{route.escalate.to}: no such channel; there are {known}")
            if route.escalate is not None and route.escalate.to in route.to:
                self._complain((*path, "escalate", "to"), f"{route.escalate.to}: the route goes there already")
        if file.routes[-1].match != Match():
            self._complain(
                ("routes", len(file.routes) - 1, "match"),
                "the last route must match every alert, or some would be told to nobody without a word: add a route "
                "without `match`; `to: []` says that nobody is to hear of the rest",
            )

    def pseudonym_key(self, file: _File) -> bytes:
        if not file.pseudonym_key_file:
            return b""
        try:
            key = FilePath(file.pseudonym_key_file).read_bytes().strip()
        except OSError as error:
            self._complain(("pseudonym_key_file",), f"{file.pseudonym_key_file} cannot be read: {error.strerror}")
            return b""
        if not key:
            self._complain(("pseudonym_key_file",), f"{file.pseudonym_key_file} is empty")
        return key

    def _complain(self, path: Path, words: str) -> None:
        near = path
        while near and near not in self._lines:
            near = near[:-1]
        self._problems.append(Problem(self._name, self._lines.get(near, 1), show_path(path), words))


def _complaints(refused: ValidationError) -> Iterator[tuple[Path, str]]:
    for error in refused.errors(include_url=False, include_input=False):
        kind = error["type"]
        words = {"missing": "this key is required", "extra_forbidden": "unknown key"}.get(kind, error["msg"])
        yield error["loc"], words.removeprefix("Value error, ")
