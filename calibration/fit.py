"""Fit a calibrator on drafts whose agreement is known: rows that neither train the student nor certify it."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from calibration.calibrator import Calibrator
from calibration.evidence import LONG, QUANTILES, SHORT

MIN_ROWS = 20
CONFIDENT = {  # the direction in which a feature grows as a draft becomes surer; lengths say nothing by themselves
    "first_logprob": 1.0,
    "first_margin": 1.0,
    "first_entropy": -1.0,
    "first_mass": 1.0,
    "min_logprob": 1.0,
    "min_margin": 1.0,
    "sum_logprob": 1.0,
    **dict.fromkeys(QUANTILES, 1.0),
    "window_logprob": 1.0,
    "tail_logprob": 1.0,
    "unlikely_share": -1.0,
}
LONG_FROM = 48  # tokens of the median draft
PRIOR_AT = 2.0  # standard deviations from the mean


class CannotFit(ValueError):
    """Too few rows to fit on, or rows of another kind."""


def fit_calibrator(evidence: Sequence[Mapping[str, float]], agreed: Sequence[bool]) -> Calibrator:
    """L2 logistic regression of agreement on standardised evidence, that of long texts where most drafts are long.

    `evidence` and `agreed` are aligned. A symmetric prior of two rows is added: one that agrees, two standard
    deviations on the sure side of the mean in every feature, and its mirror image that disagrees. With a student that
    agrees on every fit row there is nothing to tell apart, and only the prior ranks its drafts; with few
    disagreements it keeps one odd row from turning the ranking round; among many it vanishes.

    Raises CannotFit below 20 rows, and where a row lacks a feature.
    """
    n = len(evidence)
    if n < MIN_ROWS:
        raise CannotFit(f"{n} rows with usable evidence; at least {MIN_ROWS} are needed to fit a calibrator")
    features = LONG if median(row.get("log_tokens", 0.0) for row in evidence) >= math.log(LONG_FROM) else SHORT
    x = _matrix(evidence, features)
    means, scales = x.mean(axis=0), x.std(axis=0)
    scales[scales < 1e-9] = 1.0  # a constant feature weighs nothing, whatever it is divided by
    sure = PRIOR_AT * np.array([CONFIDENT.get(name, 0.0) for name in features])
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit(np.vstack([(x - means) / scales, sure, -sure]), np.array([*agreed, True, False], dtype=bool))
    return Calibrator(
        features=features,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(model.coef_[0].tolist()),
        bias=float(model.intercept_[0]),
    )


def _matrix(evidence: Sequence[Mapping[str, float]], features: Sequence[str]) -> NDArray[np.float64]:
    """Shape (n, features)."""
    try:
        return np.array([[row[name] for name in features] for row in evidence], dtype=float)
    except KeyError as error:
        raise CannotFit(f"evidence without the feature {error}: was it recorded by another version?") from error
