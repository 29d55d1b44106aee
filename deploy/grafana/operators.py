"""The dashboard for who runs it: does detection go on, how far behind is what, and who was told."""

from __future__ import annotations

from deploy.grafana.panels import Json, dashboard, graph, number, prometheus, row


def _rate(metric: str, *labels: str, over: str = "rate") -> str:
    """How fast a counter grows, of all processes together, apart by labels."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} ({over}({metric}[$__rate_interval]))"


def _quantile(quantile: float, metric: str, *labels: str) -> str:
    """A quantile of a histogram, of all processes together, apart by labels."""
    return f"histogram_quantile({quantile}, {_rate(metric + '_bucket', 'le', *labels)})"


def operators() -> Json:
    """Built from the metrics of the roles alone, so that it shows something while ClickHouse is away."""
    return dashboard(
        "stepwatch-operators",
        "Stepwatch: is it working?",
        "Detection first, then Kafka, ClickHouse, the receivers and the API. What an alarm asks for: agents/README.md.",
        [*_at_a_glance(), *_detection(), *_what_came(), *_outputs(), *_api()],
        [],
        period="now-6h",
        refresh="30s",
    )


def _at_a_glance() -> list[Json]:
    return [
        number(
            "Partitions correlated",
            "Each is owned by one worker; 0: nothing is detected.",
            "short",
            prometheus("sum(stepwatch_partitions_owned) or vector(0)", "partitions", instant=True),
            bad_below=1,
        ),
        number(
            "Furthest behind",
            "Between now and the log time of the partition that is read last.",
            "s",
            prometheus("max(stepwatch_log_time_lag_seconds)", "lag", instant=True),
            bad_from=60,
        ),
        number(
            "Most overdue decision",
            "How long a moment at which something is to be said has passed unread.",
            "s",
            prometheus("max(stepwatch_overdue_seconds)", "overdue", instant=True),
            bad_from=30,
        ),
        number(
            "Longest untold alert",
            "How long the channel that is worst off has not been told of an alert.",
            "s",
            prometheus("max(stepwatch_notify_oldest_waiting_seconds)", "waiting", instant=True),
            bad_from=120,
        ),
        number(
            "ClickHouse waits",
            "1 while it is away, silent or refuses us: tables fall behind, detection goes on.",
            "short",
            prometheus("max(stepwatch_store_waiting)", "waiting", instant=True),
            bad_from=1,
        ),
        number(
            "Events not judged, 24 h",
            "The core itself failed: `stepwatch dead-letters list --error bug`.",
            "short",
            prometheus(
                'sum(increase(stepwatch_dead_letters_total{error="bug"}[24h])) or vector(0)', "bugs", instant=True
            ),
            bad_from=1,
        ),
    ]


def _detection() -> list[Json]:
    return [
        row("Detection"),
        graph(
            "How late each partition is read",
            "0 where it is read to its end. Alerts come that much later.",
            "s",
            [prometheus("max by (topic, partition) (stepwatch_log_time_lag_seconds)", "{{topic}}-{{partition}}")],
        ),
        graph(
            "Commits",
            "From the begin of a transaction to its commit: the median, and the slowest of a hundred.",
            "s",
            [
                prometheus(_quantile(0.5, "stepwatch_commit_seconds"), "median", "A"),
                prometheus(_quantile(0.99, "stepwatch_commit_seconds"), "p99", "B"),
            ],
        ),
        graph(
            "Actions in memory",
            "Those whose grace runs, and those that have not closed.",
            "short",
            [
                prometheus("sum(stepwatch_waiting_actions)", "grace runs", "A"),
                prometheus("sum(stepwatch_open_actions)", "not closed", "B"),
            ],
        ),
        graph(
            "Take-overs",
            "How long a partition lay between assignment and first fetch, p99.",
            "s",
            [prometheus(_quantile(0.99, "stepwatch_takeover_seconds"), "p99")],
        ),
    ]


def _what_came() -> list[Json]:
    return [
        row("What came, and what became of it"),
        graph(
            "Records read",
            "By input topic.",
            "cps",
            [prometheus(_rate("stepwatch_records_in_total", "topic"), "{{topic}}")],
        ),
        graph(
            "Verdicts",
            "Revisions published; actions that no policy concerns are not_required.",
            "cps",
            [prometheus(_rate("stepwatch_verdicts_total", "verdict"), "{{verdict}}")],
            stacked=True,
        ),
        graph(
            "Changes of alerts",
            "By the state after the change.",
            "cps",
            [prometheus(_rate("stepwatch_alerts_total", "state"), "{{state}}")],
            stacked=True,
        ),
        graph(
            "Dead letters",
            "By error: a producer says what the contract does not know, or (`bug`) we failed.",
            "cps",
            [prometheus(_rate("stepwatch_dead_letters_total", "error"), "{{error}}")],
            stacked=True,
        ),
        graph(
            "Late, moved, skipped",
            "Evidence after an action's close; records in a wrong partition; events of a type that is not known.",
            "cps",
            [
                prometheus(_rate("stepwatch_late_evidence_total"), "late evidence", "A"),
                prometheus(_rate("stepwatch_moved_total"), "moved", "B"),
                prometheus(_rate("stepwatch_skipped_total", "type"), "skipped {{type}}", "C"),
            ],
        ),
        graph(
            "Policies",
            "How long ago each worker read the policies to their end.",
            "s",
            [prometheus("max by (instance) (stepwatch_policies_age_seconds)", "{{instance}}")],
        ),
    ]


def _outputs() -> list[Json]:
    return [
        row("Tables and receivers"),
        graph(
            "Rows stored",
            "By table; a redelivered row counts again.",
            "cps",
            [prometheus(_rate("stepwatch_stored_rows_total", "table"), "{{table}}")],
        ),
        graph(
            "Rows refused, records lost or unreadable",
            "Refused rows are in dead_letters; retention deleted lost ones before they were read.",
            "short",
            [
                prometheus(
                    _rate("stepwatch_store_refused_rows_total", "table", over="increase"), "refused {{table}}", "A"
                ),
                prometheus(
                    _rate("stepwatch_output_records_lost_total", "topic", over="increase"), "lost {{topic}}", "B"
                ),
                prometheus(
                    _rate("stepwatch_notify_unreadable_records_total", "topic", over="increase"),
                    "unreadable {{topic}}",
                    "C",
                ),
            ],
        ),
        graph(
            "Deliveries",
            "By channel and how they ended.",
            "cps",
            [prometheus(_rate("stepwatch_notify_deliveries_total", "channel", "outcome"), "{{channel}} {{outcome}}")],
        ),
        graph(
            "Waiting to be told",
            "The oldest of what a channel has not been told; a disabled one stands at its last.",
            "s",
            [prometheus("max by (channel) (stepwatch_notify_oldest_waiting_seconds)", "{{channel}}")],
        ),
    ]


def _api() -> list[Json]:
    return [
        row("Ingest API"),
        graph(
            "Requests",
            "By status.",
            "reqps",
            [prometheus(_rate("stepwatch_ingest_requests_total", "status"), "{{status}}")],
            stacked=True,
        ),
        graph(
            "How long an answer takes",
            "p99 by route; of events it includes Kafka's acknowledgement.",
            "s",
            [prometheus(_quantile(0.99, "stepwatch_ingest_request_seconds", "route"), "{{route}}")],
        ),
        graph(
            "Facts of the assurance",
            "Facts forgotten for want of room: of these an answer about a proof knows nothing.",
            "short",
            [
                prometheus("sum by (instance) (stepwatch_ingest_facts)", "kept {{instance}}", "A"),
                prometheus(
                    _rate("stepwatch_ingest_facts_forgotten_total", "instance", over="increase"),
                    "forgotten {{instance}}",
                    "B",
                ),
            ],
        ),
    ]
