"""The protocol step by step; that the guarantee holds is `tests/validity`'s matter."""

import json
from dataclasses import replace

import pytest

from calibration.bounds import binomial_p_value, upper_bound
from calibration.certificate import Certificate, Contract, Refusal
from calibration.certify import (
    Plan,
    ScoredRow,
    certify,
    frozen_grid,
    predicted_power,
    rows_needed,
    score_grid,
)
from calibration.clustered import Clusters

CONTRACT = Contract(alpha=0.1, delta=0.05)
GRID = tuple(i / 100 for i in range(99, -1, -1))
PLAN = Plan(CONTRACT, GRID, window=(1.0, 2.0), fingerprint="f", issued_at=100.0)


def good(n: int = 1000, *, wrong_below: float = 0.3) -> list[ScoredRow]:
    return [ScoredRow(i / n, float(i / n < wrong_below)) for i in range(n)]


def test_a_good_student_is_certified_at_the_loosest_threshold_that_passes():
    found = certify(good(), plan=PLAN)
    assert isinstance(found, Certificate)
    rows = good()
    tried = [threshold for threshold in GRID if threshold < found.threshold]
    accepted = [r for r in rows if r.score >= tried[0]]
    errors = int(sum(r.disagreement for r in accepted))
    assert binomial_p_value(errors, len(accepted), 0.1) > PLAN.delta_spent  # the next looser one fails
    assert found.accepted == sum(r.score >= found.threshold for r in rows)
    assert found.coverage == found.accepted / found.n
    assert found.errors / found.accepted < found.upper_bound <= 0.1
    assert found.expires_at == 100.0 + 30 * 86400


def test_a_margin_takes_a_stricter_one_of_the_thresholds_that_passed():
    without, some, much = (certify(good(), plan=replace(PLAN, contract=Contract(0.1, 0.05, h))) for h in (0, 0.4, 0.9))
    assert without.threshold < some.threshold < much.threshold
    assert some.errors <= 0.06 * some.accepted and much.errors <= 0.01 * much.accepted


def test_where_no_threshold_keeps_the_margin_the_one_of_the_lowest_bound_is_taken():
    rows = [ScoredRow(i / 1000, float(i % 25 == 0)) for i in range(1000)]  # 4 % everywhere: most rows, lowest bound
    found = certify(rows, plan=replace(PLAN, contract=Contract(0.1, 0.05, 0.9)))
    assert isinstance(found, Certificate) and found.coverage > 0.9


def test_the_sequence_stops_at_the_first_failure():
    """A loose threshold that would pass by itself is not reached past a strict one that fails."""
    rows = [ScoredRow(0.95, 1.0)] * 60 + [ScoredRow(0.9, 0.0)] * 60 + [ScoredRow(0.5, 0.0)] * 5000
    assert isinstance(certify(rows, plan=PLAN), Refusal)


def test_a_bad_student_is_refused_in_words():
    rows = [ScoredRow(i / 500, float(i % 4 == 0)) for i in range(500)]
    found = certify(rows, plan=PLAN)
    assert isinstance(found, Refusal) and found.labels_seen
    assert found.rows_needed is None
    assert "disagree" in found.reason


def test_too_few_rows_are_refused_with_labels_unseen():
    found = certify(good(40), plan=PLAN)
    assert isinstance(found, Refusal) and not found.labels_seen
    assert found.rows_needed == 87


def test_attempts_together_spend_less_than_delta():
    spent = [replace(PLAN, attempt=a).delta_spent for a in range(1, 30)]
    assert spent[0] == pytest.approx(0.04)
    assert sum(spent) <= CONTRACT.delta


def test_a_certificate_survives_json():
    found = certify(good(), plan=PLAN)
    assert isinstance(found, Certificate)
    assert Certificate.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    "values", [(0.0, 0.05), (1.0, 0.05), (0.1, 0.0), (0.1, 1.5), (0.1, 0.05, 1.0), (0.1, 0.05, -0.1)]
)
def test_a_contract_lies_between_zero_and_one(values):
    with pytest.raises(ValueError):
        Contract(*values)


def test_the_grid_descends_without_repetition():
    grid = score_grid([0.5] * 50 + [0.1, 0.9])
    assert grid == (0.9, 0.5, 0.1)


def test_power_grows_with_rows_and_falls_with_risk():
    fit = good(200)
    powers = [predicted_power(fit, contract=CONTRACT, n=n) for n in (20, 100, 150, 1000)]
    assert powers[0] == 0.0
    assert powers[1] < 0.1  # 87 of 100 must be accepted to test at all, and a third of them are wrong
    assert min(powers[2:]) > 0.8
    unranked = [ScoredRow(i / 1000, float(i % 8 == 0)) for i in range(1000)]
    assert predicted_power(unranked, contract=CONTRACT, n=1000) < 0.2


def test_the_sequence_begins_where_it_is_likeliest_to_pass():
    """The surest drafts are few and not without error; the next ones are no worse: many of them pass more easily."""
    fit = [ScoredRow(i / 400, float(i < 80 or i % 33 == 0)) for i in range(400)]
    grid = frozen_grid(fit, contract=CONTRACT, n=300)
    assert grid == tuple(t for t in score_grid([row.score for row in fit]) if t <= grid[0])
    assert 0.2 < grid[0] < 0.5
    steep = [ScoredRow(i / 400, float(i < 240)) for i in range(400)]
    assert frozen_grid(steep, contract=CONTRACT, n=300)[0] >= 0.6  # nothing looser could pass


def test_what_the_gateway_never_accepts_is_no_threshold():
    fit = [ScoredRow(-1.0, 1.0)] * 100 + good(100)
    assert frozen_grid(fit, contract=CONTRACT, n=2000)[-1] == 0.0
    assert frozen_grid([ScoredRow(-1.0, 1.0)] * 100, contract=CONTRACT, n=2000) == ()


def test_rows_needed_would_be_enough():
    fit = good(200)
    needed = rows_needed(fit, contract=CONTRACT)
    assert needed is not None
    assert predicted_power(fit, contract=CONTRACT, n=needed) >= 0.8
    assert rows_needed([], contract=CONTRACT) is None


def test_near_duplicates_are_a_coin_and_distinct_rows_are_many():
    """Everything else alike: what is shown by rows that stand or fall together is less."""
    rows = [ScoredRow(0.9, float(i % 20 == 0)) for i in range(200)]
    plan = replace(PLAN, grid=(0.5,), before={})
    alone = certify(rows, plan=plan)
    assert isinstance(alone, Certificate) and (alone.n, alone.accepted, alone.errors) == (200, 200, 10)
    pairs = [replace(row, cluster=i // 4) for i, row in enumerate(rows)]
    assert isinstance(certify(pairs, plan=plan), Refusal)
    few = certify([replace(row, cluster=i // 2 if i < 8 else i) for i, row in enumerate(rows)], plan=plan)
    assert isinstance(few, Certificate) and few.errors == 10 and few.upper_bound > alone.upper_bound


def test_a_threshold_is_tested_by_the_clusters_of_what_it_accepts():
    sure = [ScoredRow(0.9, 0.0, cluster=i) for i in range(100)]
    unsure = [ScoredRow(0.1, 0.0, cluster=i // 5) for i in range(100)]
    found = certify([*unsure, *sure], plan=replace(PLAN, grid=(0.5,), before={}))
    assert isinstance(found, Certificate) and found.upper_bound == pytest.approx(upper_bound(0, 100, 0.04))


def test_a_cluster_that_weighs_as_much_as_all_that_has_to_be_seen_is_tested_by_more_rows():
    """A window might have none of its like by chance: one in it, or lately before it, asks for more rows."""
    rows = [ScoredRow(0.9, 0.0)] * 200
    assert isinstance(certify(rows, plan=PLAN), Certificate)
    large = [replace(row, cluster=0) for row in rows[:8]]
    for found in (
        certify([*large, *rows[8:]], plan=replace(PLAN, before={})),
        certify(rows, plan=replace(PLAN, before={8: 1})),
    ):
        assert isinstance(found, Refusal) and not found.labels_seen and found.rows_needed == 8 * 29
        assert "232 accepted ones are needed to test, since 8 of them, or of those before" in found.reason


def test_rows_in_clusters_are_not_tested_without_what_was_before():
    with pytest.raises(ValueError, match="beside the clusters before them"):
        certify([ScoredRow(0.9, 0.0, cluster=1)] * 200, plan=PLAN)


def test_the_power_gate_knows_the_clusters_of_the_window():
    fit = good(200)
    clusters = [Clusters(), Clusters({1: 240, 2: 30}), Clusters({3: 100}), Clusters({1: 300}, {1: 200, 2: 50})]
    powers = [predicted_power(fit, contract=CONTRACT, n=300, clusters=each) for each in clusters]
    assert powers[0] > powers[1] > powers[2] and powers[0] > powers[3]
    needed = [rows_needed(good(60), contract=CONTRACT, clusters=each) for each in clusters[:3]]
    assert needed == sorted(needed) and needed[0] < needed[2]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1.5])
def test_a_score_that_is_none_is_not_certified(score):
    with pytest.raises(ValueError, match="a score is at most 1"):
        ScoredRow(score, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid": (float("nan"),)},
        {"grid": (1.5, 0.5)},
        {"window": (2.0, 1.0)},
        {"window": (float("nan"), 1.0)},
        {"lifetime_s": -1.0},
        {"lifetime_s": float("inf")},
    ],
)
def test_a_plan_that_cannot_hold_is_refused(wrong):
    with pytest.raises(ValueError, match=r"thresholds lie|a window that begins"):
        replace(PLAN, **wrong)


def test_a_certificate_has_its_time():
    found = certify([ScoredRow(0.9, 0.0)] * 400, plan=replace(PLAN, grid=(0.5,)))
    assert isinstance(found, Certificate) and found.holds(PLAN.issued_at)
    assert not found.holds(PLAN.issued_at - 1.0) and not found.holds(found.expires_at)
    with pytest.raises(ValueError, match="expires"):
        replace(found, expires_at=found.issued_at)
    with pytest.raises(ValueError, match="window"):
        replace(found, window=(2.0, 1.0))
