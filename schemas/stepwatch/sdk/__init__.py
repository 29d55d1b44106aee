"""What an application installs to report: builders for every event, and reporters that never hurt it."""

from stepwatch.sdk.acting import Actions
from stepwatch.sdk.checking import EventError
from stepwatch.sdk.context import Client, Context, current, use
from stepwatch.sdk.events import Source
from stepwatch.sdk.http import HttpReporter
from stepwatch.sdk.kafka import KafkaReporter
from stepwatch.sdk.memory import MemoryReporter
from stepwatch.sdk.middleware import AsgiContext, Who, WsgiContext
from stepwatch.sdk.parts import Decision, Event, Resource
from stepwatch.sdk.reporter import Reporter, Stats

__all__ = [
    "Actions",
    "AsgiContext",
    "Client",
    "Context",
    "Decision",
    "Event",
    "EventError",
    "HttpReporter",
    "KafkaReporter",
    "MemoryReporter",
    "Reporter",
    "Resource",
    "Source",
    "Stats",
    "Who",
    "WsgiContext",
    "current",
    "use",
]
