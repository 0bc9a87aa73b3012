import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.certify import ScoredRow
from calibration.curves import Price, cost_quality, reliability, risk_coverage

ROWS = [ScoredRow(0.9, 0.0)] * 6 + [ScoredRow(0.5, 1.0)] * 2 + [ScoredRow(0.5, 0.0)] + [ScoredRow(-1.0, 1.0)]
rows = st.lists(st.builds(ScoredRow, st.sampled_from([-1.0, 0.1, 0.5, 0.9]), st.sampled_from([0.0, 1.0])), max_size=40)


def test_a_curve_in_hand_computed_numbers():
    strict, loose = risk_coverage(ROWS)
    assert (strict.threshold, strict.coverage, strict.risk) == (0.9, 0.6, 0.0)
    assert (loose.threshold, loose.coverage, loose.risk) == (0.5, 0.9, pytest.approx(2 / 9))


def test_costs_in_hand_computed_dollars():
    points = cost_quality(risk_coverage(ROWS), Price(teacher_usd=1.0, draft_usd=0.1, rho=0.5))
    assert points[0] == (pytest.approx(0.1 + 0.4 + 0.3), 1.0)
    assert points[1] == (pytest.approx(0.1 + 0.1 + 0.45), pytest.approx(0.8))


@given(rows)
def test_coverage_grows_as_thresholds_fall_and_intervals_hold_their_estimates(found):
    points = risk_coverage(found)
    assert [p.threshold for p in points] == sorted({row.score for row in found if row.score >= 0}, reverse=True)
    assert [p.coverage for p in points] == sorted(p.coverage for p in points)
    assert all(0 <= p.low <= p.risk <= p.high <= 1 for p in points)


@given(rows)
def test_bins_hold_every_scored_row_once(found):
    bins = reliability(found)
    assert sum(each.n for each in bins) == sum(row.score >= 0 for row in found)
    assert all(0 <= each.low <= each.agreement <= each.high <= 1 for each in bins)


def test_many_scores_make_a_hundred_points_with_both_ends():
    points = risk_coverage([ScoredRow(i / 1000, 0.0) for i in range(1000)])
    assert len(points) == 100 and (points[0].threshold, points[-1].threshold) == (0.999, 0.0)
