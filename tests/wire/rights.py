"""Rights in Kafka: those that the recipe in deploy/ grants, and taking away one of them."""

from __future__ import annotations

import os
import subprocess
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from stepwatch.embedded import jars
from tests.live.harness import ROOT

RECIPE = ROOT / "deploy" / "kafka-acls.sh"
_KINDS = {"topic": 2, "group": 3, "transactional-id": 5}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10, "AlterConfigs": 11}
_PATTERNS = {"literal": 3, "prefixed": 4}
_ANY = 1
_ALLOW = 3


class Right(NamedTuple):
    """One right of one principal, as `kafka-acls.sh` names it."""

    principal: str
    operation: str
    kind: str
    name: str
    pattern: str = "literal"


def recipe(folder: Path, bootstrap: str, prefix: str, *pairs: str, tool: str = "", **env: str) -> list[str]:
    """Run the recipe for `role=principal` pairs; returns the arguments of each call of Kafka's tool.

    Args:
        folder: for notes.
        bootstrap: a broker.
        prefix: of topics, groups and ids.
        pairs: as the recipe takes them.
        tool: a command that does it; default: only note the arguments.
        env: variables beside those.
    """
    noted = folder / "acls.txt"
    noted.write_text("")
    note = folder / "note.sh"
    note.write_text(f"#!/bin/sh\necho \"$*\" >> '{noted}'\n" + (f'exec {tool} "$@"\n' if tool else ""))
    note.chmod(0o755)
    variables = {"PATH": "/usr/bin:/bin", "BOOTSTRAP": bootstrap, "PREFIX": prefix, "KAFKA_ACLS": str(note), **env}
    done = subprocess.run(
        [str(RECIPE), *pairs], env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return noted.read_text().splitlines()


def rights_of(lines: Iterable[str]) -> set[Right]:
    """What calls of Kafka's tool with these arguments grant; an option that we do not know is an error."""
    parser = ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--command-config")
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--resource-pattern-type", choices=_PATTERNS, required=True)
    parser.add_argument("--operation", action="append", choices=_OPERATIONS, required=True)
    for kind in _KINDS:
        parser.add_argument(f"--{kind}", action="append", default=[])
    found = set()
    for line in lines:
        said = vars(parser.parse_args(line.split()))
        found |= {
            Right(said["allow_principal"], operation, kind, name, said["resource_pattern_type"])
            for operation in said["operation"]
            for kind in _KINDS
            for name in said[kind.replace("-", "_")]
        }
    return found


def kafka_acls_tool(folder: Path) -> str:
    """A script that runs Kafka's own `kafka-acls.sh`, whose jar the embedded broker does without; else skips."""
    import jgo

    try:
        built = jgo.build(f"org.apache.kafka:kafka-tools:{jars.KAFKA_VERSION}", cache_dir=folder / "tools")
    except Exception as error:  # jgo raises what its HTTP client raises, among others
        pytest.skip(f"Kafka's tools are neither in the local Maven repository nor to be had: {error}")
    classpath = os.pathsep.join(str(jar) for jar in [*built.class_path_jars, *built.module_path_jars])
    flags = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    script = folder / "kafka-acls.sh"
    script.write_text(f'#!/bin/sh\nexec {jars.java()} {flags} -cp {classpath} org.apache.kafka.tools.AclCommand "$@"\n')
    script.chmod(0o755)
    return str(script)


async def grant(admin: AIOKafkaAdminClient, right: Right) -> None:
    """Grant it; nothing happens where it is granted already."""
    kind, name, pattern, operation = _numbers(right)
    answer = await _send(admin, CreateAclsRequest(kind, name, pattern, right.principal, "*", operation, _ALLOW))
    [(code, message)] = answer.creation_responses
    assert code == 0, (right, message)


async def take_away(admin: AIOKafkaAdminClient, right: Right) -> None:
    """Take it away; it must have been granted in exactly these words."""
    kind, name, pattern, operation = _numbers(right)
    answer = await _send(admin, DeleteAclsRequest(kind, name, pattern, right.principal, "*", operation, _ALLOW))
    [(code, message, matching)] = answer.filter_responses
    assert code == 0, (right, message)
    assert len(matching) == 1, f"{right} was not granted"


async def granted(admin: AIOKafkaAdminClient, principal: str) -> set[Right]:
    """What the broker says that a principal may do."""
    answer = await _send(admin, DescribeAclsRequest(_ANY, None, _ANY, principal, None, _ANY, _ANY))
    assert answer.error_code == 0, answer.error_message
    kinds, patterns, operations = ({n: word for word, n in t.items()} for t in (_KINDS, _PATTERNS, _OPERATIONS))
    return {
        Right(who, operations[operation], kinds[kind], name, patterns[pattern])
        for kind, name, pattern, acls in answer.resources
        for who, _host, operation, permission in acls
        if permission == _ALLOW
    }


def _numbers(right: Right) -> tuple[int, str, int, int]:
    return _KINDS[right.kind], right.name, _PATTERNS[right.pattern], _OPERATIONS[right.operation]


async def _send(admin: AIOKafkaAdminClient, request: Any) -> Any:
    return await admin._client.send(admin._client.get_random_node(), request)
