"""From evidence to a score: a logistic regression as plain numbers.

The gateway and the certifier both score with `Calibrator.score`: a second implementation would drift from the first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCORE_DIGITS = 6  # scores are rounded, so that ties on a threshold hold on every machine
LARGEST, LEAST_SCALE = 1e9, 1e-9  # so that no evidence has a score that is no number


@dataclass(frozen=True)
class Calibrator:
    """Standardise each feature, weigh, add the bias, squash. All tuples have one length; scales are positive."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        columns = (self.means, self.scales, self.weights)
        if not self.features or any(len(column) != len(self.features) for column in columns):
            raise ValueError("a calibrator needs as many means, scales and weights as features")
        if not all(abs(x) <= LARGEST for x in (self.bias, *(x for column in columns for x in column))):
            raise ValueError(f"a calibrator's numbers must be finite, and at most {LARGEST:g}")
        if min(self.scales) < LEAST_SCALE:
            raise ValueError(f"a calibrator's scales must be positive, and at least {LEAST_SCALE:g}")

    def score(self, evidence: Mapping[str, float]) -> float:
        """Calibrated probability in [0, 1] that the draft agrees with the teacher, rounded to 1e-6.

        Raises KeyError naming the feature where the evidence lacks one.
        """
        z = self.bias
        for name, mean, scale, weight in zip(self.features, self.means, self.scales, self.weights, strict=True):
            z += weight * (evidence[name] - mean) / scale
        return round(_logistic(z), SCORE_DIGITS)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "features": list(self.features),
            "means": list(self.means),
            "scales": list(self.scales),
            "weights": list(self.weights),
            "bias": self.bias,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibrator":
        """The inverse of `to_dict`. Raises ValueError where the values are no calibrator."""
        try:
            means, scales, weights = (tuple(map(float, values[name])) for name in ("means", "scales", "weights"))
            return cls(tuple(values["features"]), means, scales, weights, float(values["bias"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a calibrator: {error}") from error


def _logistic(z: float) -> float:
    if z >= 0:
        return 1.0 / (1.0 + math.exp(-min(z, 700.0)))
    grown = math.exp(max(z, -700.0))
    return grown / (1.0 + grown)
