"""The guarantee by repetition, against a truth in closed form; `make validity` prints all of it, with more runs."""

from dataclasses import replace

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController, precision

from bench import bursts, clusters
from bench.limits import allowed
from bench.validity import (
    ALPHAS,
    DELTA,
    FIT_ROWS,
    FLOORS,
    MOST_OF_THE_GOOD,
    SIZES,
    WORLDS,
    draw,
    hot_clusters,
    measure,
    observed_risk_fails,
    risk_above,
    selected_rows,
)
from calibration.bounds import binomial_p_value
from calibration.certificate import Certificate, Contract
from calibration.certify import Plan, ScoredRow, certify, frozen_grid

pytestmark = pytest.mark.validity
RUNS, FEWER = 200, 60
ALLOWED = allowed(RUNS, DELTA)
FEASIBLE, EDGE, BEYOND = WORLDS


@pytest.mark.parametrize(("alpha", "n"), [*FLOORS, (0.02, 1000)])
def test_false_certificates_are_rare_and_coverage_is_had(alpha, n):
    cell = measure(FEASIBLE, alpha=alpha, n=n, runs=RUNS)
    assert cell.issued and not list(cell.broken), cell


@pytest.mark.parametrize(("alpha", "n"), [(0.02, 300), (0.05, 300)])
def test_too_few_rows_are_refused(alpha, n):
    assert measure(FEASIBLE, alpha=alpha, n=n, runs=RUNS).issued <= 0.05 * RUNS


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_student_beyond_the_contract_everywhere_is_refused(alpha, n):
    for world, runs in ((EDGE, RUNS if n < 3000 else RUNS // 2), (BEYOND, FEWER)):
        cell = measure(world, alpha=alpha, n=n, runs=runs)
        assert cell.false == cell.issued and not list(cell.broken), cell


def guarded(rng, n, world, *, least):
    """Rows of traffic, scored where they are as much like the lessons, and their likenesses."""
    likeness, rows = rng.random(n), draw(rng, n, world, alpha=0.1)
    guarded = [row if like >= least else replace(row, score=-1.0) for row, like in zip(rows, likeness, strict=True)]
    return guarded, likeness


@pytest.mark.parametrize(("world", "fewest"), [(FEASIBLE, 0.5), (EDGE, 0.0)])
def test_what_is_unlike_the_lessons_is_left_out_and_the_certificate_holds_for_the_rest(world, fewest):
    """Below the score of every threshold in fit rows and window, where 5 % of the fit rows are less like them."""
    rng, contract, thresholds = np.random.default_rng(11), Contract(0.1, DELTA), []
    for _ in range(RUNS):
        _, likeness = guarded(rng, FIT_ROWS, world, least=0.0)
        least = float(np.quantile(likeness, 0.05, method="lower"))
        fit, _ = guarded(rng, FIT_ROWS, world, least=least)
        window, _ = guarded(rng, 1000, world, least=least)
        plan = Plan(contract, frozen_grid(fit, contract=contract, n=1000), (0.0, 1.0), "f", 0.0)
        found = certify(window, plan=plan)
        if isinstance(found, Certificate):
            assert found.threshold >= 0.0 and found.coverage <= 1.0 - least + 0.05
            thresholds.append(found.threshold)
    assert sum(risk_above(each, world, 0.1) > 0.1 for each in thresholds) <= ALLOWED
    assert len(thresholds) >= fewest * RUNS


def test_choosing_by_observed_risk_fails_in_the_same_simulation():
    assert observed_risk_fails(alpha=0.10, n=300, runs=RUNS) > 0.3 * RUNS


def test_hot_clusters_fool_whoever_counts_every_row_or_one_a_cluster_and_not_us():
    runs = RUNS // 2
    naive, clusters, ours, good = hot_clusters(runs=runs).values()
    assert naive > 0.15 * runs and clusters > 0.9 * runs
    assert ours <= allowed(runs, DELTA)
    assert good >= MOST_OF_THE_GOOD * runs  # it does not hold by refusing


def test_escalations_and_audits_certify_a_forgetful_student_and_references_do_not():
    naive, ours = selected_rows(runs=RUNS).values()
    assert naive > 0.9 * RUNS and ours <= ALLOWED


@pytest.mark.parametrize("margin", [0.5, 0.9])
def test_a_threshold_chosen_for_its_margin_holds_as_well(margin):
    """Risk .12 above a score of a half and .10 over all, at alpha .11: where the window flatters it is violated."""
    rng, issued, false = np.random.default_rng(5), 0, 0
    grid = tuple(np.linspace(0.7, 0.0, 15).round(6).tolist())
    plan = Plan(Contract(0.11, DELTA, margin), grid, (0.0, 1.0), "f", 0.0)
    for _ in range(RUNS):
        scores = rng.random(300).round(6)
        wrong = rng.random(300) < np.where(scores > 0.5, 0.12, 0.08)
        found = certify([ScoredRow(float(s), float(d)) for s, d in zip(scores, wrong, strict=True)], plan=plan)
        if isinstance(found, Certificate):
            issued += 1
            above = 1.0 - found.threshold
            false += (0.12 * min(above, 0.5) + 0.08 * max(0.0, above - 0.5)) / above > 0.11
    assert false <= ALLOWED and issued


@pytest.mark.parametrize(
    ("name", "contract", "large", "fewest"),
    [
        ("a few pairs", (0.1, 250), 0.5, 0.5),
        ("a few pairs", (0.05, 1000), 1.0, 0.8),
        ("many pairs", (0.1, 250), 1.0, 0.4),
        ("up to five", (0.1, 250), 0.5, 0.02),
    ],
)
def test_clusters_do_not_fool_it_wherever_the_risk_lies(name, contract, *, large, fewest):
    """True risk just above alpha, clusters before the window like those in it; and half the risk passes."""
    alpha, n = contract
    false, right = clusters.measure(name, alpha=alpha, n=n, large=large, runs=RUNS)
    assert false["ours"] <= ALLOWED
    assert right["ours"] >= fewest * RUNS
    assert name != "up to five" or false["every row"] > 0.1 * RUNS  # it is a test


@pytest.mark.parametrize(
    ("name", "contract", "fewest"),
    [
        ("one popular request, 3 %", (0.1, 250), 0.6),
        ("three, 6, 4 and 2 %", (0.05, 1000), 0.8),
        ("40, Zipf, half of all", (0.1, 250), 0.2),
        ("topics of 8, 0.5 windows", (0.1, 250), 0.0),
        ("topics of 25, 1 windows", (0.05, 1000), 0.0),
    ],
)
def test_what_comes_steadily_counts_and_what_comes_and_goes_does_not_fool_it(name, contract, fewest):
    alpha, n = contract
    false, right = bursts.measure(name, alpha=alpha, n=n, runs=RUNS)
    assert false["ours"] <= ALLOWED and right["ours"] >= fewest * RUNS
    assert right["coins"] < 0.1 * RUNS  # for which there is a rule
    assert not name.startswith("topics") or false["every row"] > 0.1 * RUNS  # it is a test


@pytest.mark.filterwarnings("ignore::UserWarning")  # it advises where nothing, or everything, passes
def test_p_values_and_the_valid_set_equal_mapies():
    """Precision >= 1 - alpha tested down a fixed sequence of thresholds that accept 2^k rows each.

    MAPIE multiplies the observed risk by their number and rounds up, where floating point may count an error too many;
    with powers of two it does not.
    """
    rng, contract, refused = np.random.default_rng(3), Contract(0.1, DELTA), 0
    for number in range(60):
        student = (FEASIBLE, EDGE)[number % 2]
        rows = sorted(draw(rng, 1024, student, alpha=0.1), key=lambda row: -row.score)
        grid = tuple(rows[count - 1].score for count in (128, 256, 512, 1024))
        plan = Plan(contract, grid, (0.0, 1.0), "f", 0.0)
        controller = BinaryClassificationController(
            predict_function=lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
            risk=precision,
            target_level=1.0 - contract.alpha,
            confidence_level=1.0 - plan.delta_spent,
            list_predict_params=np.array(grid),
            fwer_method="fixed_sequence",
        )
        scores = np.array([row.score for row in rows]).reshape(-1, 1)
        controller.calibrate(scores, np.array([1 - int(row.disagreement) for row in rows]))
        accepted = [[row.disagreement for row in rows if row.score >= threshold] for threshold in grid]
        ours = [binomial_p_value(int(sum(each)), len(each), contract.alpha) for each in accepted]
        np.testing.assert_allclose(ours, np.asarray(controller.p_values).ravel(), rtol=1e-9)
        found, valid = certify(rows, plan=plan), np.asarray(controller.valid_predict_params)
        if isinstance(found, Certificate):
            assert sorted(valid) == sorted(t for t in grid if t >= found.threshold)
        else:
            refused += 1
            assert not valid.size
    assert 0 < refused < 60
