import re
from dataclasses import replace

import pytest

from calibration.bounds import lower_bound, upper_bound
from calibration.certificate import Certificate, Contract, JudgeRates, Refusal
from calibration.certify import Plan, ScoredRow, certify, predicted_power
from calibration.judged import Labelled, level, rates

DELTA = 0.05
CHECKED = Labelled(different=100, caught=98, same=200, spared=190)
RATES = rates(CHECKED, delta=DELTA)
GRID = (0.5,)


def plan(judge=RATES, *, alpha=0.1):
    return Plan(Contract(alpha, DELTA, judge=judge), GRID, (0.0, 1.0), "f", 0.0)


def rows(n=1000, *, errors, asked):
    """The first ones are flagged, and so were asked."""
    return [ScoredRow(0.9, float(i < errors), asked=i < asked) for i in range(n)]


def test_each_rate_is_bounded_on_its_own_side_at_a_quarter_of_delta():
    assert RATES.caught == lower_bound(98, 100, DELTA / 4)
    assert RATES.spared == upper_bound(190, 200, DELTA / 4)
    assert RATES.caught < 0.98 and RATES.spared > 0.95


def test_labels_of_several_files_add_up():
    assert Labelled(2, 1, 3, 3) + Labelled(1, 1, 0, 0) == Labelled(3, 2, 3, 3)
    assert CHECKED.pairs == 300
    with pytest.raises(ValueError, match="cannot be"):
        Labelled(different=1, caught=2)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Labelled(), "no labelled pair that people call different .* run `tutelage judge check`"),
        (Labelled(same=50, spared=50), "no labelled pair that people call different"),
        (Labelled(different=5, caught=0, same=50, spared=50), "no better than chance"),
        (Labelled(different=40, caught=10, same=40, spared=12), "Label more pairs, write a clearer judge_rubric"),
    ],
)
def test_a_judge_of_whom_too_little_is_known_is_refused_with_what_to_do(found, words):
    refusal = rates(found, delta=DELTA)
    assert isinstance(refusal, Refusal) and not refusal.labels_seen
    assert re.search(words, refusal.reason)


def test_without_pairs_called_the_same_false_alarms_have_no_credit():
    found = rates(Labelled(different=60, caught=60), delta=DELTA)
    assert found.spared == 1.0 and level(found, 0.1) == pytest.approx(0.1 * found.caught)


def test_the_credit_is_for_what_is_asked_alone():
    judge = JudgeRates(0.9, 0.95)
    assert level(judge, 0.1) == pytest.approx(0.1 * 0.9 + 0.9 * 0.05)
    assert level(judge, 0.1, asked=0.3) == pytest.approx(0.1 * 0.9 + 0.2 * 0.05)
    assert level(judge, 0.1, asked=0.1) == level(judge, 0.1, asked=0.0) == pytest.approx(0.1 * 0.9)


def test_a_certificate_says_what_it_was_tested_at_and_spends_no_more_than_delta():
    found = certify(rows(errors=70, asked=1000), plan=plan())
    assert isinstance(found, Certificate)
    assert found.alpha == 0.1 and found.level == found.tested_at != 0.1
    assert found.errors / found.accepted < found.upper_bound <= found.level
    assert found.delta_spent == pytest.approx(DELTA / 2 + 0.8 * DELTA / 2)


def test_more_flags_are_allowed_where_the_judge_is_asked_about_more():
    few, all_of_them = (certify(rows(errors=85, asked=asked), plan=plan()) for asked in (150, 1000))
    assert isinstance(few, Refusal) and "as the judge sees it" in few.reason
    assert isinstance(all_of_them, Certificate)


def test_the_power_gate_knows_what_the_judge_costs():
    fit = rows(300, errors=15, asked=300)
    without, strict = (
        predicted_power(fit, contract=plan(judge).contract, n=600) for judge in (None, JudgeRates(0.5, 1.0))
    )
    assert without > 0.5 > strict


def test_near_duplicates_show_less_of_how_many_are_asked():
    """The credit for a judge's false alarms is due for as many pairs as are asked at least."""
    alone = certify(rows(errors=50, asked=500), plan=plan())
    clustered = [replace(row, cluster=i // 2 if i < 40 else i) for i, row in enumerate(rows(errors=50, asked=500))]
    together = certify(clustered, plan=replace(plan(), before={}))
    assert isinstance(alone, Certificate) and isinstance(together, Certificate)
    assert together.level < alone.level


def test_a_release_is_bound_to_what_was_known_of_its_judge():
    assert RATES.binding == {"judge_labels": "300", "judge_rates": f"{RATES.caught:.4f} {RATES.spared:.4f}"}


@pytest.mark.parametrize("values", [(0.5, 0.5), (1.1, 1.0), (0.9, -0.1)])
def test_rates_that_tell_nothing_are_none(values):
    with pytest.raises(ValueError, match="their sum has to exceed 1"):
        JudgeRates(*values)


def test_a_certificate_without_a_judge_is_written_as_before_and_read_again():
    bare = certify(rows(errors=50, asked=0), plan=plan(None))
    assert "level" not in bare.to_dict() and bare.tested_at == bare.alpha and bare.delta_spent == 0.8 * DELTA
    judged = certify(rows(errors=50, asked=1000), plan=plan())
    for each in (bare, judged):
        assert Certificate.from_dict(each.to_dict()) == each
    with pytest.raises(ValueError, match="strictly between"):
        Certificate.from_dict({**judged.to_dict(), "level": 0.0})
