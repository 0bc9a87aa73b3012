"""A calibrator is plain numbers, and the numbers come back from JSON as they went."""

import json
import math

import numpy as np
import pytest

from calibration.calibrator import Calibrator
from calibration.evidence import LONG, SHORT
from calibration.fit import CannotFit, fit_calibrator

ONE = Calibrator(("x",), (1.0,), (2.0,), (3.0,), 0.5)


def test_scores_are_logistic_and_rounded():
    assert ONE.score({"x": 1.0}) == round(1 / (1 + np.exp(-0.5)), 6)
    assert ONE.score({"x": 1e9}) == 1.0 and ONE.score({"x": -1e9}) == 0.0


def test_missing_evidence_names_the_feature():
    with pytest.raises(KeyError, match="x"):
        ONE.score({"y": 1.0})


def test_it_survives_json():
    assert Calibrator.from_dict(json.loads(json.dumps(ONE.to_dict()))) == ONE


@pytest.mark.parametrize(
    "change", [{"scales": [0.0]}, {"weights": [float("nan")]}, {"means": []}, {"features": []}, {"bias": None}]
)
def test_unusable_numbers_are_refused(change):
    with pytest.raises(ValueError):
        Calibrator.from_dict({**ONE.to_dict(), **change})


def rows(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    evidence = [dict(zip(SHORT, rng.normal(size=len(SHORT)), strict=True)) for _ in range(n)]
    agreed = [rng.random() < 1 / (1 + np.exp(-2 * row["sum_logprob"])) for row in evidence]
    return evidence, agreed


def test_the_fit_finds_what_matters_and_is_calibrated():
    evidence, agreed = rows(4000)
    fitted = fit_calibrator(evidence, agreed)
    weights = dict(zip(SHORT, fitted.weights, strict=True))
    assert max(weights, key=lambda name: abs(weights[name])) == "sum_logprob"
    scores = np.array([fitted.score(row) for row in evidence])
    sure = scores > 0.8
    assert abs(scores[sure].mean() - np.array(agreed)[sure].mean()) < 0.03


def test_a_student_that_always_agrees_still_gets_a_score():
    evidence, _ = rows(50)
    fitted = fit_calibrator(evidence, [True] * 50)
    assert min(fitted.score(row) for row in evidence) > 0.5


@pytest.mark.parametrize(("tokens", "features"), [(47, SHORT), (48, LONG)])
def test_most_drafts_decide_whether_texts_are_long(tokens, features):
    rng = np.random.default_rng(0)
    evidence = [dict.fromkeys({*SHORT, *LONG}, float(rng.normal())) for _ in range(41)]
    for number, row in enumerate(evidence):
        row["log_tokens"] = math.log(tokens if number < 21 else 2)
    assert fit_calibrator(evidence, [True] * 41).features == features


def test_too_few_rows_are_refused():
    evidence, agreed = rows(19)
    with pytest.raises(CannotFit, match="19 rows"):
        fit_calibrator(evidence, agreed)
