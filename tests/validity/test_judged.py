"""A judge that errs, known by labelled pairs alone: a release above its contract is certified in delta of runs."""

from dataclasses import dataclass

import numpy as np
import pytest

from bench.limits import allowed
from calibration.bounds import binomial_p_value
from calibration.certificate import Certificate, Contract, JudgeRates
from calibration.certify import Plan, ScoredRow, certify
from calibration.judged import Labelled, level, rates

pytestmark = pytest.mark.validity
RUNS, DELTA, ALPHA = 400, 0.05, 0.10
ALLOWED = allowed(RUNS, DELTA)


@dataclass(frozen=True)
class World:
    """True rates of the judge, the share of accepted drafts that it is asked about, and what differs by people."""

    caught: float
    spared: float
    asked: float
    risk: float = 1.02 * ALPHA
    labels: int = 150  # of either kind

    def labelled(self, rng: np.random.Generator) -> Labelled:
        caught, spared = (int(rng.binomial(self.labels, rate)) for rate in (self.caught, self.spared))
        return Labelled(self.labels, caught, self.labels, spared)

    def window(self, rng: np.random.Generator, n: int) -> list[ScoredRow]:
        differ = rng.random(n) < self.risk
        asked = differ | (rng.random(n) < (self.asked - self.risk) / (1.0 - self.risk))
        flagged = asked & (rng.random(n) < np.where(differ, self.caught, 1.0 - self.spared))
        return [ScoredRow(0.9, float(f), asked=bool(a)) for f, a in zip(flagged, asked, strict=True)]


WORLDS = [
    World(caught=0.90, spared=0.95, asked=1.0),
    World(caught=0.70, spared=0.99, asked=1.0),
    World(caught=0.95, spared=0.85, asked=1.0),
    World(caught=0.95, spared=0.90, asked=0.2),
    World(caught=0.99, spared=0.60, asked=0.3, labels=1000),
    World(caught=0.90, spared=0.95, asked=1.0, risk=1.001 * ALPHA, labels=10**7),  # nothing to spare but the test's own
]


def certified(world: World, *, n: int = 2000) -> int:
    """Runs that issue a certificate; labels are drawn anew in each."""
    rng, issued = np.random.default_rng(7), 0
    for _ in range(RUNS):
        known = rates(world.labelled(rng), delta=DELTA)
        if isinstance(known, JudgeRates):
            plan = Plan(Contract(ALPHA, DELTA, judge=known), (0.5,), (0.0, 1.0), "f", 0.0)
            issued += isinstance(certify(world.window(rng, n), plan=plan), Certificate)
    return issued


@pytest.mark.parametrize("world", WORLDS)
def test_a_release_just_above_its_contract_is_rarely_certified_whatever_the_judge(world):
    assert certified(world) <= ALLOWED


@pytest.mark.parametrize("world", [World(0.95, 0.95, 1.0, risk=0.02), World(0.95, 0.95, 0.4, risk=0.02)])
def test_a_good_release_is_certified_nonetheless(world):
    assert certified(world) >= 0.9 * RUNS


def naive(world: World, *, at: float | None, n: int = 2000) -> int:
    """Tests flags at a level, or at what the pairs' rates give without asking which answers are asked."""
    rng, issued = np.random.default_rng(8), 0
    for _ in range(RUNS):
        known = rates(world.labelled(rng), delta=DELTA)
        assert isinstance(known, JudgeRates)
        flags = sum(row.disagreement for row in world.window(rng, n))
        issued += binomial_p_value(int(flags), n, at or level(known, ALPHA)) <= DELTA / 2
    return issued


def test_flags_of_a_lenient_judge_tested_at_alpha_certify_what_is_above_it():
    assert naive(World(caught=0.7, spared=0.99, asked=1.0, risk=0.11), at=ALPHA) > 5 * ALLOWED


def test_a_credit_for_answers_that_are_never_asked_certifies_what_is_above_alpha():
    """Nine answers in ten are equal or differ; the judge's false alarms are those of the others."""
    equal = World(caught=0.95, spared=0.85, asked=0.2, risk=0.15)
    assert naive(equal, at=None) > 5 * ALLOWED
    assert certified(equal) <= ALLOWED
