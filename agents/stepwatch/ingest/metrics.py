"""What the ingest role counts and measures, on /metrics beside what every role has."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("stepwatch_ingest_requests", "Requests answered.", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "stepwatch_ingest_request_seconds", "From a request's head to its answer.", ["route"], buckets=_SECONDS
)
EVENTS = Counter(
    "stepwatch_ingest_events", "Events that Kafka acknowledged, by family; of unknown types `skipped`.", ["what"]
)
REFUSED_EVENTS = Counter("stepwatch_ingest_refused_events", "Bad events of requests that were refused whole.")
HELD_BYTES = Gauge("stepwatch_ingest_held_bytes", "Bytes of requests that are under way.")
PROOFS = Gauge("stepwatch_ingest_facts", "Verifications and revocations held for assurance.")
FORGOTTEN = Counter("stepwatch_ingest_facts_forgotten", "Of those, let go early because there were too many.")
ALERTS = Gauge("stepwatch_ingest_alerts", "Alerts held for /v1/alerts.")
STREAMS = Gauge("stepwatch_ingest_streams", "Streams of alerts that are open.")
STREAMS_CUT = Counter("stepwatch_ingest_streams_cut", "Streams that were ended because their client was too slow.")
DECISIONS = Counter("stepwatch_ingest_decisions", "Decisions about alerts, by what became of them.", ["what"])
