"""The part of the Compose specification that our file uses, as models that refuse every other key.

Written from the specification's text (docs.docker.com/reference/compose-file): no engine, no network.
A key that we begin to use is added here by whoever has read what it means.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Duration = Annotated[str, StringConstraints(pattern=r"^(\d+(us|ms|s|m|h))+$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]+$")]
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9./_-]+:[A-Za-z0-9._-]+(@sha256:[0-9a-f]{64})?$")]
Port = Annotated[str, StringConstraints(pattern=r"^(\d+\.\d+\.\d+\.\d+:)?\d+:\d+$")]
Mount = Annotated[str, StringConstraints(pattern=r"^[\w./-]+:/[\w./-]+(:ro)?$")]
Scalar = str | int


class Strict(BaseModel):
    """Refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Build(Strict):
    """How an image is built."""

    context: str
    dockerfile: str


class Healthcheck(Strict):
    """How the engine asks whether a container does its work."""

    test: Annotated[list[str], Field(min_length=2)]
    interval: Duration
    timeout: Duration
    retries: int
    start_period: Duration
    start_interval: Duration | None = None


class DependsOn(Strict):
    """What must be so before a service starts."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Limit(Strict):
    """A resource limit of the container."""

    soft: int
    hard: int


class Service(Strict):
    """One service."""

    image: Image
    build: Build | None = None
    profiles: list[Name] = []
    command: list[str] | None = None
    environment: dict[Name, Scalar] = {}
    depends_on: dict[Name, DependsOn] = {}
    healthcheck: Healthcheck | None = None
    ports: list[Port] = []
    volumes: list[Mount] = []
    tmpfs: list[str] = []
    ulimits: dict[str, Limit] = {}
    restart: Annotated[str, StringConstraints(pattern=r"^(no|always|unless-stopped|on-failure(:\d+)?)$")]
    init: bool = False
    read_only: bool = False
    cap_drop: list[str] = []
    security_opt: list[str] = []
    stop_grace_period: Duration | None = None


class Compose(Strict):
    """A whole file, its `x-` extensions taken away."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    services: dict[Name, Service]
    volumes: dict[Name, dict[str, str]]
