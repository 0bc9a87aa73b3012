from dataclasses import replace

import pytest

from distill.triggers import DAY_S, Facts, TriggerConfig, weigh

CONFIG = TriggerConfig(
    min_rows=300, min_references=120, max_references=900, new_rows=200, escalation_rate=0.4, age_s=14 * DAY_S
)
READY = Facts(
    may_train=True,
    rows=300,
    references=120,
    references_wanted=0,
    new_rows=300,
    attempts=0,
    refusals=0,
    champion_age_s=None,
    voided=False,
    escalation_rate=None,
)
SERVING = replace(READY, attempts=1, champion_age_s=DAY_S, escalation_rate=0.2)


@pytest.mark.parametrize(
    ("facts", "decision", "words"),
    [
        (replace(READY, may_train=False), (False, "forbidden"), "may_train: false"),
        (replace(READY, unchecked="label pairs"), (False, "judge"), "label pairs"),
        (replace(READY, unchecked="label pairs", may_train=False), (False, "forbidden"), "terms"),
        (replace(READY, rows=299), (False, "rows"), "299 of 300 rows before the cut"),
        (replace(READY, references=119), (False, "rows"), "119 of 120 unused references"),
        (replace(READY, references_wanted=121), (False, "rows"), "120 of 121 unused references"),
        (READY, (True, "first"), "300 rows"),
        (replace(READY, attempts=1, new_rows=199), (False, "rows"), "199 of 200 new rows"),
        (replace(READY, references=900, references_wanted=901), (True, "first"), "300 rows"),
        (replace(READY, references=899, references_wanted=901), (False, "rows"), "899 of 900 unused references"),
        (replace(READY, attempts=3, refusals=1), (True, "rows"), "no release is in force"),
        (replace(READY, attempts=3, refusals=2), (False, "rows"), "300 of 400 new rows since the last attempt, the"),
        (replace(READY, attempts=3, refusals=3, new_rows=800), (True, "rows"), "800 new rows"),
        (replace(READY, attempts=1), (True, "rows"), "no release is in force"),
        (replace(READY, attempts=2, voided=True), (True, "voided"), "voided"),
        (replace(READY, attempts=1, new_rows=0, forgotten="v2"), (True, "forgotten"), "v2 had learned from what is"),
        (
            replace(READY, attempts=1, new_rows=0, references=119, forgotten="v2"),
            (False, "forgotten"),
            "119 of 120 unused",
        ),
        (replace(READY, attempts=1, rows=299, forgotten="v2"), (False, "forgotten"), "v2 is to be trained again"),
        (replace(READY, attempts=1, may_train=False, forgotten="v2"), (False, "forbidden"), "terms"),
        (replace(SERVING, new_rows=0, forgotten="v2"), (True, "forgotten"), "of 300 other rows"),
        (SERVING, (False, "settled"), "nothing asks"),
        (replace(SERVING, escalation_rate=0.41), (True, "escalations"), "41% of requests escalate"),
        (replace(SERVING, escalation_rate=0.41, new_rows=0), (False, "rows"), "0 of 200 new rows"),
        (replace(SERVING, champion_age_s=15 * DAY_S), (True, "age"), "15.0 days old"),
        (replace(SERVING, champion_age_s=15 * DAY_S, may_train=False), (False, "forbidden"), "terms"),
    ],
)
def test_each_rule_decides_with_its_reason(facts, decision, words):
    verdict = weigh(facts, CONFIG)
    assert (verdict.train, verdict.trigger) == decision
    assert words in verdict.reason
