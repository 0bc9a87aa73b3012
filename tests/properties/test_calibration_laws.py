"""Laws that hold for all inputs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.agreement import disagreement, normalised
from calibration.bounds import binomial_interval, binomial_p_value, upper_bound
from calibration.calibrator import Calibrator
from calibration.certificate import Certificate, Contract
from calibration.certify import Plan, ScoredRow, certify, score_grid
from calibration.clustered import p_value, risk_bound, rows_in
from calibration.evidence import Alternative, TokenLogprob, evidence

rates = st.floats(0.01, 0.99)
counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, rates)
def test_a_p_value_grows_with_errors_and_falls_with_alpha(pair, alpha):
    errors, n = pair
    p = binomial_p_value(errors, n, alpha)
    assert 0.0 <= p <= 1.0
    assert binomial_p_value(min(errors + 1, n), n, alpha) >= p
    assert binomial_p_value(errors, n, min(0.999, alpha + 0.005)) <= p + 1e-12


@given(counts, st.floats(0.01, 0.5))
def test_bounds_lie_above_the_observed_rate(pair, delta):
    errors, n = pair
    assert errors / n <= upper_bound(errors, n, delta) <= 1.0
    low, high = binomial_interval(errors, n)
    assert 0.0 <= low <= errors / n <= high <= 1.0


@given(st.text(), st.text())
def test_agreement_is_symmetric_and_normalising_twice_changes_nothing(a, b):
    assert disagreement(a, b) == disagreement(b, a)
    assert disagreement(a, a) == 0.0
    assert normalised(normalised(a)) == normalised(a)


rows = st.lists(
    st.builds(ScoredRow, st.floats(0, 1).map(lambda s: round(s, 6)), st.sampled_from([0.0, 1.0])),
    min_size=1,
    max_size=300,
)


@given(rows, st.floats(0.02, 0.3), st.floats(0.0, 0.9))
def test_a_certificate_never_claims_more_than_its_test(found_rows, alpha, margin):
    grid = score_grid([row.score for row in found_rows])
    plan = Plan(Contract(alpha, 0.05, margin), grid, (0.0, 1.0), "f", 0.0)
    found = certify(found_rows, plan=plan)
    if isinstance(found, Certificate):
        assert found.upper_bound <= alpha + 1e-9
        assert found.threshold in grid
        assert found.accepted == sum(row.score >= found.threshold for row in found_rows)


sizes = st.dictionaries(st.integers(1, 30), st.integers(1, 200), min_size=1, max_size=5)


@settings(max_examples=30)
@given(st.tuples(sizes, sizes), st.floats(0.0, 1.0), st.floats(0.02, 0.3))
def test_near_duplicates_never_help(clusters, share, alpha):
    """What they show, distinct rows show as well."""
    among, before = clusters
    rows = rows_in(among)
    errors = int(share * alpha * rows)
    if (found := p_value(errors, among, alpha, before=before)) <= 0.05:
        assert binomial_p_value(errors, rows, alpha) <= found + 1e-9
        assert risk_bound(errors, among, 0.05, before=before) <= alpha + 1e-5


@given(
    st.lists(st.tuples(st.floats(), st.lists(st.floats(), max_size=3)), max_size=4),
    st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3),
    st.floats(1e-9, 1e9),
)
def test_whatever_a_server_says_a_draft_has_a_score_or_no_evidence(told, numbers, scale):
    tokens = [TokenLogprob("a", logprob, list(map(Alternative, top))) for logprob, top in told]
    if (found := evidence(tokens, prompt_tokens=3)) is None:
        return
    mean, weight, bias = numbers
    n = len(found)
    calibrator = Calibrator(tuple(found), (mean,) * n, (scale,) * n, (weight,) * n, bias)
    assert 0.0 <= calibrator.score(found) <= 1.0
