"""What the correlator counts becomes metrics."""

from __future__ import annotations

from prometheus_client import REGISTRY

from stepwatch.agents.metrics import add_counts


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_count_with_a_label_goes_to_the_metric_of_its_family() -> None:
    before = value("stepwatch_verdicts_total", verdict="unverified")
    add_counts({"verdicts.unverified": 3, "dead_letters.data.tenant": 1, "late_evidence": 2})
    assert value("stepwatch_verdicts_total", verdict="unverified") == before + 3
    assert value("stepwatch_dead_letters_total", error="data.tenant") >= 1
    assert value("stepwatch_late_evidence_total") >= 2


def test_a_count_that_no_metric_knows_is_not_lost() -> None:
    add_counts({"something_new": 2, "new_family.label": 1})
    assert value("stepwatch_counted_total", what="something_new") == 2
    assert value("stepwatch_counted_total", what="new_family.label") == 1


def test_labels_that_a_producer_chooses_are_bounded() -> None:
    add_counts({f"skipped.stepwatch.new.{n}": 1 for n in range(300)})
    add_counts({"skipped.stepwatch.new.0": 1})
    assert value("stepwatch_skipped_total", type="stepwatch.new.0") == 2
    assert value("stepwatch_skipped_total", type="other") == 200
