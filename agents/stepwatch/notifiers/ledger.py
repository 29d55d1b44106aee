"""The ledger `stepwatch.notifications`: what each channel was told of each incident, as records of a compacted topic.

Three kinds of keys: `CHANNEL|TENANT/ID` what a channel was told (in the alert's partition), `!mute|ID` a mute and
`!channel|NAME` a channel that asked for nothing more (both in partition 0). No channel's name has a `|` or `!` in it.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

import msgspec

_T = TypeVar("_T")
SHOWN_MAX = 500
"""Characters of a receiver's answer that are kept."""


class Standing(Enum):
    """How an incident stands at a receiver, as far as its answers tell."""

    NONE = ""
    MAYBE = "maybe"
    """A trigger was on its way, and it is not known whether it arrived."""
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ENDING = "ending"
    """An end was on its way, and it is not known whether it arrived."""
    RESOLVED = "resolved"


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one channel was told of one incident.

    Attributes:
        channel: its name in the routing file.
        key: of the incident at the receiver: the alert's id, or that of a group of alerts.
        tenant: of the alert.
        version: of the alert when it was told last; never falls.
        step: the last that was tried.
        state: how the incident stands at the receiver.
        severity, reason, count: as they were told.
        at: when this was recorded, RFC 3339.
        attempts: of the last step.
        outcome, words: of the last attempt; words never hold a secret.
        reference: the receiver's own name for the incident.
        group: key of the incident that speaks for this alert on this channel; "" where it speaks for itself.
        refused: the version that the receiver refused for ever; 0: none.
        writer: the process that wrote this.
    """

    channel: str
    key: str
    tenant: str = ""
    version: int = 0
    step: str = ""
    state: Standing = Standing.NONE
    severity: str = ""
    reason: str = ""
    count: int = 0
    at: str = ""
    attempts: int = 0
    outcome: str = ""
    words: str = ""
    reference: str = ""
    group: str = ""
    refused: int = 0
    writer: str = ""


class Switch(msgspec.Struct, frozen=True):
    """That a channel's receiver asked for nothing more, or that a person enabled it again.

    Attributes:
        channel: its name.
        disabled: which of the two.
        words: what the receiver said, or why it was enabled.
        by: who enabled it; "" where the receiver asked.
        at: when, RFC 3339.
    """

    channel: str
    disabled: bool
    words: str
    by: str
    at: str


CHANNEL_KEY = b"!channel|"


def encode_switch(switch: Switch) -> tuple[bytes, bytes]:
    """Key and value of a switch's record."""
    return CHANNEL_KEY + switch.channel.encode(), msgspec.json.encode(switch)


def read_switch(value: bytes) -> Switch:
    """A switch from its record; raises ValueError, naming the field, where it is none."""
    return _read(value, Switch)


def ledger_key(channel: str, tenant: str, key: str) -> bytes:
    """The key of a record of the ledger."""
    return f"{channel}|{tenant}/{key}".encode()


def is_told(key: bytes) -> bool:
    """Whether a key is of something told, and not of a mute or a channel."""
    return not key.startswith(b"!")


def encode_told(told: Told) -> bytes:
    """A record's value."""
    return msgspec.json.encode(told)


def read_told(value: bytes) -> Told:
    """What a record says.

    Raises:
        ValueError: it is no record of the ledger; the message names the field.
    """
    return _read(value, Told)


def _read(value: bytes, what: type[_T]) -> _T:
    try:
        return msgspec.json.decode(value, type=what)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
