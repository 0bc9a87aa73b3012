import math

import numpy as np
import pytest

from calibration.certificate import Certificate, Contract, Refusal
from calibration.evidence import LONG, SHORT
from calibration.fit import CannotFit
from calibration.study import Drafted, study


def rows(n, *, risk, seed=0):
    """Evidence that ranks: the surer, the rarer wrong."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        sure = rng.random()
        evidence = dict.fromkeys({*SHORT, *LONG}, sure) | {"log_tokens": math.log(3)}
        found.append(Drafted(evidence, float(rng.random() < risk * (1 - sure) ** 2)))
    return found


def test_each_contract_has_its_own_answer():
    found = study(rows(3000, risk=0.9), [Contract(0.1, 0.05), Contract(0.001, 0.05)])
    (_, wide), (_, narrow) = found.outcomes
    assert isinstance(wide, Certificate) and 0.3 < wide.coverage < 0.75 and wide.n == 2000
    assert isinstance(narrow, Refusal) and not narrow.labels_seen
    assert found.agreement == pytest.approx(0.7, abs=0.03)


def test_a_draft_without_evidence_is_never_accepted():
    good = rows(900, risk=0.0)
    mute = [Drafted(None, 0.0)] * 900
    mixed = [row for pair in zip(good, mute, strict=True) for row in pair]
    ((_, outcome),) = study(mixed, [Contract(0.1, 0.05)]).outcomes
    assert isinstance(outcome, Certificate) and outcome.coverage <= 0.5


def test_near_duplicates_show_less_than_distinct_rows():
    drafts = rows(3000, risk=0.0)
    pairs = [number // 2 for number in range(3000)]
    found = study(drafts, [Contract(0.1, 0.05)], clusters=pairs)
    assert (len(found.tested), found.near_duplicates) == (2000, 2000)
    together, alone = found.outcomes[0][1], study(drafts, [Contract(0.1, 0.05)]).outcomes[0][1]
    assert together.n == alone.n == 2000 and together.upper_bound > alone.upper_bound


def test_one_request_that_suddenly_comes_all_the_time_certifies_nothing():
    clusters = [*range(1000), *[0] * 2000]
    ((_, outcome),) = study(rows(3000, risk=0.0), [Contract(0.1, 0.05)], clusters=clusters).outcomes
    assert isinstance(outcome, Refusal) and not outcome.labels_seen


@pytest.mark.parametrize("few", [[], rows(20, risk=0.5), [Drafted(None, 0.0)] * 300])
def test_too_few_rows_to_fit_are_told(few):
    with pytest.raises(CannotFit):
        study(few, [Contract(0.1, 0.05)])
