"""Creating the topics and checking that they are as contract section 2 has them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from stepwatch.agents.clients import close_client, open_admin
from stepwatch.agents.errors import TopicsWrong
from stepwatch.agents.policies import read_sets
from stepwatch.agents.refusals import no_right
from stepwatch.agents.settings import Settings
from stepwatch.schemas.topics import TopicSpec
from stepwatch.streams.sets import PolicySets

REPAIR = "stepwatch topics create"
_AT_LEAST = frozenset({"min.compaction.lag.ms", "max.message.bytes", "retention.ms"})
_FOR_EVER = "-1"
_AT_MOST = frozenset({"segment.ms"})
_DEAD_LETTER_EXTRA_BYTES = 64 * 1024
_DYNAMIC_TOPIC_CONFIG = 1
_VISIBLE_S = 10.0
_POLL_S = 0.1
_UNKNOWN_TOPIC = 3


@dataclass(frozen=True, slots=True)
class TopicProblem:
    """One way in which a topic is not as it must be.

    Attributes:
        topic: its name.
        words: what was expected, what is there.
        repair: the command that repairs it, or what to do where none can.
        missing: the topic does not exist.
        wish: a worker can do without; `topics create` repairs it all the same.
        config: the settings that would repair it; empty where no setting can.
    """

    topic: str
    words: str
    repair: str
    missing: bool = False
    wish: bool = False
    config: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.topic}: {self.words}: {self.repair}"


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    config: dict[str, str]
    own: dict[str, str]
    """What was set on the topic itself: altering a topic must send these along or lose them."""


async def check_topics(settings: Settings, retention_ms: int = 0) -> list[TopicProblem]:
    """What is wrong with the topics, in the order of contract section 2; empty: nothing.

    Args:
        settings: names, numbers, and where Kafka is.
        retention_ms: the least that the inputs must be kept, as the policy sets ask (`retention_needed_ms`).

    Raises:
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    admin = await open_admin(settings)
    try:
        specs = settings.topics.specs()
        return _problems(settings, await _find(admin, settings, specs), retention_ms)
    finally:
        await close_client(admin)


async def require_topics(settings: Settings, retention_ms: int = 0) -> None:
    """Refuse to start where a topic is not as it must be; arguments as `check_topics`.

    Raises:
        TopicsWrong: names every problem and the command that repairs it.
    """
    problems = [problem for problem in await check_topics(settings, retention_ms) if not problem.wish]
    if problems:
        raise TopicsWrong("\n".join(str(problem) for problem in problems))


async def create_topics(settings: Settings) -> list[str]:
    """Create what is missing and set what is set otherwise; returns one line for each thing done.

    Nothing is deleted, and no number of partitions is changed: that would move subjects between workers. Policy
    sets that are published already say how long the inputs must be kept.

    Raises:
        TopicsWrong: what no command can repair, after everything else was done.
    """
    admin = await open_admin(settings)
    done: list[str] = []
    try:
        problems = await _look(admin, settings)
        # Twice: only when all inputs are there is it known how large the dead letters must be.
        for _ in range(2):
            if any(problem.missing or problem.config for problem in problems):
                done += await _repair(admin, settings, problems)
                problems = await _look_until_repaired(admin, settings, problems)
    finally:
        await close_client(admin)
    if problems:
        raise TopicsWrong("\n".join(str(problem) for problem in problems))
    return done


async def _look(admin: AIOKafkaAdminClient, settings: Settings) -> list[TopicProblem]:
    """All problems, those with what the published policies ask too."""
    found = await _find(admin, settings, settings.topics.specs())
    sets = await read_sets(settings) if settings.topics.policies in found else None
    return _problems(settings, found, 0 if sets is None else retention_needed_ms(sets))


async def _look_until_repaired(
    admin: AIOKafkaAdminClient, settings: Settings, before: list[TopicProblem]
) -> list[TopicProblem]:
    """What is wrong once the broker that we ask shows what the controller did about `before`."""
    repaired = {problem for problem in before if problem.missing or problem.config}
    give_up = time.monotonic() + _VISIBLE_S
    while True:
        problems = await _look(admin, settings)
        if not repaired & set(problems) or time.monotonic() >= give_up:
            return problems
        await asyncio.sleep(_POLL_S)


async def _repair(admin: AIOKafkaAdminClient, settings: Settings, problems: list[TopicProblem]) -> list[str]:
    specs = {spec.name: spec for spec in settings.topics.specs()}
    done = await _create(admin, settings, [specs[problem.topic] for problem in problems if problem.missing])
    wrong = {problem.topic for problem in problems if problem.config}
    found = await _find(admin, settings, tuple(specs[topic] for topic in sorted(wrong)))
    for topic in sorted(wrong):
        wanted = dict(pair for problem in problems if problem.topic == topic for pair in problem.config)
        await _alter(admin, settings, topic, {**found[topic].own, **wanted})
        done.append(f"{topic}: set " + ", ".join(f"{key}={value}" for key, value in wanted.items()))
    return done


async def _find(admin: AIOKafkaAdminClient, settings: Settings, specs: tuple[TopicSpec, ...]) -> dict[str, _Found]:
    if not specs:
        return {}
    described = await admin.describe_topics([spec.name for spec in specs])
    for topic in described:
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            raise no_right(settings, TopicAuthorizationFailedError(topic["topic"]), "Describe")
    there = {t["topic"]: len(t["partitions"]) for t in described if t["error_code"] != _UNKNOWN_TOPIC}
    if not there:
        return {}
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(there)])
    found = {}
    for response in responses:
        for code, message, _type, name, entries in response.resources:
            _raise_for(settings, code, message, f"reading the settings of {name}", ("DescribeConfigs", name))
            config = {entry[0]: entry[1] for entry in entries}
            own = {entry[0]: entry[1] for entry in entries if entry[3] == _DYNAMIC_TOPIC_CONFIG}
            found[name] = _Found(there[name], config, own)
    return found


def retention_needed_ms(sets: PolicySets) -> int:
    """How long the inputs must be kept for these sets: lookback + accept_late + grace + revise_within, ms."""
    return -(-(sets.lookback_max_us + sets.accept_late_max_us + sets.horizon_max_us) // 1000)


def _problems(settings: Settings, found: dict[str, _Found], retention_ms: int) -> list[TopicProblem]:
    problems = []
    for spec in settings.topics.specs():
        topic = found.get(spec.name)
        want = 1 if spec.single else settings.partitions
        if topic is None:
            problems.append(TopicProblem(spec.name, "does not exist", f"run `{REPAIR}`", missing=True))
            continue
        if topic.partitions != want:
            problems.append(_wrong_partitions(spec, topic.partitions, want))
        required = _wanted_config(settings, spec, found, retention_ms)
        for key, value in {**required, **spec.wished}.items():
            have = topic.config.get(key, "")
            if not _holds(key, have, value):
                wish = key not in required
                words = f"{key} is {have or 'not set'}, {'should' if wish else 'must'} be {_bound(key, value)}{value}"
                problems.append(TopicProblem(spec.name, words, f"run `{REPAIR}`", wish=wish, config=((key, value),)))
    return problems


def _wrong_partitions(spec: TopicSpec, have: int, want: int) -> TopicProblem:
    repair = (
        "no command can change that without moving subjects: delete the topic while it holds nothing"
        if spec.single
        else f"set STEPWATCH_PARTITIONS={have} if all topics have {have}, or use another STEPWATCH_PREFIX, "
        "or delete the topic while it holds nothing"
    )
    return TopicProblem(spec.name, f"has {have} partitions, must have {want}", f"{repair}; then `{REPAIR}`")


def _wanted_config(settings: Settings, spec: TopicSpec, found: dict[str, _Found], retention_ms: int) -> dict[str, str]:
    config = dict(spec.config)
    if spec.name in settings.topics.inputs and retention_ms:
        config["retention.ms"] = str(retention_ms)
    if spec.name == settings.topics.dead_letters:
        # It must hold the largest record of any input, however those were set, and the headers that say why.
        inputs = [
            int(found[name].config.get("max.message.bytes", "0")) for name in settings.topics.inputs if name in found
        ]
        wanted = max([*(size + _DEAD_LETTER_EXTRA_BYTES for size in inputs), int(config["max.message.bytes"])])
        config["max.message.bytes"] = str(wanted)
    return config


def _bound(key: str, value: str) -> str:
    return "" if value == _FOR_EVER else "at least " if key in _AT_LEAST else "at most " if key in _AT_MOST else ""


def _holds(key: str, have: str, want: str) -> bool:
    if key == "retention.ms" and have == _FOR_EVER:
        return True
    if key in _AT_LEAST | _AT_MOST and want != _FOR_EVER:
        if not have.lstrip("-").isdigit():
            return False
        return int(have) >= int(want) if key in _AT_LEAST else int(have) <= int(want)
    return have == want


async def _create(admin: AIOKafkaAdminClient, settings: Settings, specs: list[TopicSpec]) -> list[str]:
    if not specs:
        return []
    response = await admin.create_topics(
        [
            NewTopic(
                spec.name,
                1 if spec.single else settings.partitions,
                settings.kafka_replication,
                topic_configs={**spec.config, **spec.wished},
            )
            for spec in specs
        ]
    )
    for name, code, *rest in response.topic_errors:
        if code != TopicAlreadyExistsError.errno:  # somebody else was faster
            message = rest[0] if rest else ""
            _raise_for(settings, code, message, f"creating {name}", ("Create", name))
    return [f"{spec.name}: created" for spec in specs]


async def _alter(admin: AIOKafkaAdminClient, settings: Settings, topic: str, config: dict[str, str]) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)
    for response in await admin.alter_configs([resource]):
        for code, message, *_ in response.resources:
            _raise_for(settings, code, message, f"setting {config} on {topic}", ("AlterConfigs", topic))


def _raise_for(settings: Settings, code: int, message: Any, doing: str, right: tuple[str, str]) -> None:
    """Raise what a code of Kafka's means; `right` is what was needed, and on which topic."""
    if code:
        error: type[KafkaError] = for_code(code)
        if issubclass(error, TopicAuthorizationFailedError | ClusterAuthorizationFailedError):
            # Who may not create a topic hears of the cluster or of the topic, depending on the version.
            raise no_right(settings, TopicAuthorizationFailedError(right[1]), right[0])
        raise TopicsWrong(f"Kafka refused {doing}: {message or error.description or error.__name__}")
