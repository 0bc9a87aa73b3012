"""Fit a calibrator on drafts whose agreement is known: rows that neither train the student nor certify it."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from calibration.calibrator import Calibrator
from calibration.evidence import FEATURES

MIN_ROWS = 20


class CannotFit(ValueError):
    """Too few rows to fit on."""


def fit_calibrator(evidence: Sequence[Mapping[str, float]], agreed: Sequence[bool]) -> Calibrator:
    """L2 logistic regression of agreement on standardised evidence.

    `evidence` and `agreed` are aligned. Every row also enters once with the opposite outcome at a weight of 1/n
    (half a row of each outcome in all): a student that agrees on every fit row still gets a finite, ranked score
    instead of no calibrator. Raises CannotFit below 20 rows.
    """
    n = len(evidence)
    if n < MIN_ROWS:
        raise CannotFit(f"{n} rows with usable evidence; at least {MIN_ROWS} are needed to fit a calibrator")
    x = np.array([[row[name] for name in FEATURES] for row in evidence], dtype=float)  # (n, features)
    y = np.array(agreed, dtype=bool)  # (n,)
    means, scales = x.mean(axis=0), x.std(axis=0)
    scales[scales < 1e-9] = 1.0
    standard = (x - means) / scales
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit(
        np.vstack([standard, standard]),
        np.concatenate([y, ~y]),
        sample_weight=np.concatenate([np.ones(n), np.full(n, 1.0 / n)]),
    )
    return Calibrator(
        features=FEATURES,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(model.coef_[0].tolist()),
        bias=float(model.intercept_[0]),
    )
