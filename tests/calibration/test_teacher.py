import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from calibration.teacher import CHANGED, Repeats, changed

repeats = st.integers(0, 60).flatmap(lambda n: st.builds(Repeats, st.just(n), st.integers(0, n)))


def test_a_teacher_that_always_repeats_itself_permits_every_contract():
    assert Repeats(30, 30).least_alpha == 0.0


def test_a_teacher_that_rarely_repeats_itself_forbids_strict_ones():
    """Of two equally likely answers the best student gives one: it agrees half of the time, and A is a half."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 2, (2, 4000))
    found = Repeats(4000, int((first == second).sum()))
    assert 1 - math.sqrt(0.53) < found.least_alpha < 1 - math.sqrt(0.5) < 0.5


@given(repeats, repeats)
def test_a_change_is_fishers_exact_test(before, now):
    table = [[now.agreed, now.asked - now.agreed], [before.agreed, before.asked - before.agreed]]
    p = fisher_exact(table, alternative="less").pvalue if before.asked and now.asked else 1.0
    assert changed(before, now) == (p <= CHANGED) or math.isclose(p, CHANGED, rel_tol=1e-9)


def test_a_few_more_differences_are_no_change_and_many_are():
    assert not changed(Repeats(90, 88), Repeats(30, 26))
    assert changed(Repeats(90, 88), Repeats(30, 18))
    assert changed(Repeats(30, 29), Repeats(30, 14))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        Repeats(2, 3)
