"""What the test comes to: a certificate of a contract, or a refusal. Plain values, without any of its mathematics."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class JudgeRates:
    """What a judge is known to do: `caught`, at a lower bound, the share of pairs it calls different among those that
    people call different; `spared`, at an upper bound, the share it calls the same among those that people do. Known
    from so many labelled `pairs`."""

    caught: float
    spared: float
    pairs: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.caught <= 1 and 0 <= self.spared <= 1 and self.caught + self.spared > 1):
            raise ValueError(f"rates of {self.caught} and {self.spared} tell nothing: their sum has to exceed 1")

    @property
    def binding(self) -> dict[str, str]:
        """As a release is bound to them."""
        return {"judge_labels": str(self.pairs), "judge_rates": f"{self.caught:.4f} {self.spared:.4f}"}


@dataclass(frozen=True)
class Contract:
    """At most a share alpha of student answers differ; a worse release passes with probability at most delta.

    `margin` in [0, 1): the share of alpha that a release leaves free on its window, where a threshold that passed
    allows it. It costs coverage and no validity. `judge`: where a judge says what differs, what it is known to do.
    """

    alpha: float
    delta: float
    margin: float = 0.0
    judge: JudgeRates | None = None

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.delta < 1):
            raise ValueError(f"alpha and delta lie strictly between 0 and 1, not {self.alpha} and {self.delta}")
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin is a share below 1 of alpha, not {self.margin}")

    @property
    def test_delta(self) -> float:
        """What of delta is the test's: half of it where the bounds of a judge's rates have had the other half."""
        return self.delta if self.judge is None else self.delta / 2

    @property
    def least_level(self) -> float:
        """At which share of counted errors the test is made at the strictest."""
        return self.alpha if self.judge is None else self.alpha * self.judge.caught


@dataclass(frozen=True)
class Certificate:
    """Accept iff score >= threshold. `coverage` is of the window. What is certified is alpha: `upper_bound`, one-sided
    at the level spent, is that of a threshold fixed beforehand, and this one was chosen among those that passed.

    `level`: where a judge has counted the errors, what share of them the test was made against; None: alpha.
    """

    alpha: float
    delta: float
    threshold: float
    n: int
    accepted: int
    errors: int
    upper_bound: float
    coverage: float
    window: tuple[float, float]
    attempt: int
    delta_spent: float
    issued_at: float
    expires_at: float
    fingerprint: str
    level: float | None = None

    def __post_init__(self) -> None:
        Contract(self.tested_at, self.delta)
        Contract(self.alpha, self.delta)
        shares = (self.threshold, self.upper_bound, self.coverage, self.delta_spent)
        times = (*self.window, self.issued_at, self.expires_at)
        if not all(0 <= share <= 1 for share in shares) or not all(map(math.isfinite, times)):
            raise ValueError("a certificate's threshold, bound, coverage and level lie in [0, 1], its times are finite")
        if not (self.window[0] <= self.window[1] and self.issued_at < self.expires_at):
            raise ValueError("a certificate's window begins before it ends, and it is issued before it expires")
        if not 0 <= self.errors <= self.accepted <= self.n or self.n < 1:
            raise ValueError(f"{self.errors} errors among {self.accepted} accepted of {self.n} rows cannot be")

    @property
    def tested_at(self) -> float:
        """The share of counted errors that the test was made against, and that the alarm is set to."""
        return self.alpha if self.level is None else self.level

    def holds(self, now: float) -> bool:
        """Whether it is in its time: by a clock that was set back it would outlive that."""
        return self.issued_at <= now < self.expires_at

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; without `level` where it is alpha, so that what was sealed before there was one keeps its
        seal."""
        values = {**asdict(self), "window": list(self.window)}
        return values if self.level is not None else {name: values[name] for name in values if name != "level"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Certificate":
        """The inverse of `to_dict`. Raises ValueError where the values are no certificate."""
        try:
            begin, end = values["window"]
            return cls(**{**values, "window": (begin, end)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a certificate: {error}") from error


@dataclass(frozen=True)
class Refusal:
    """No certificate, in words. `rows_needed` is an estimate; None where more rows would not help.

    `labels_seen`: whether delta was spent.
    """

    reason: str
    n: int
    rows_needed: int | None
    labels_seen: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def fingerprint(value: object) -> str:
    """SHA-256, in hexadecimal, of a JSON value, whatever the order of its keys.

    Raises ValueError for what is no JSON value.
    """
    try:
        return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()
    except TypeError as error:
        raise ValueError(f"no JSON value: {error}") from error
