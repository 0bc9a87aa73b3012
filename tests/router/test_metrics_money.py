"""Dollars in Prometheus' format, as the ledger has them."""

from prometheus_client import CollectorRegistry, generate_latest

from ledger.savings import COMPONENTS, Estimate, Savings
from router.metrics_money import Money


def shown(saved, *, tasks=()):
    registry = CollectorRegistry()
    registry.register(Money(saved, tasks))
    return generate_latest(registry).decode()


def test_tasks_are_there_before_anything_is_paid():
    text = shown({}, tasks=["desk"])
    assert all(f'tutelage_cost_usd_total{{component="{each}",task="desk"}} 0.0' in text for each in COMPONENTS)
    assert 'tutelage_savings_usd{bound="lower",task="desk"} 0.0' in text
    assert 'tutelage_tokens_total{by="teacher",kind="cached",task="desk"} 0.0' in text


def test_what_was_saved_is_baseline_less_all_cost():
    costs = dict.fromkeys(COMPONENTS, 0.0) | {"teacher": 2.0, "training": 3.0}
    found = Savings(9, 5, measured_usd=2.0, estimated=Estimate(10.0, 8.0, 12.0), costs=costs, draft_prompt_tokens=7)
    text = shown({"desk": found, "": Savings(1, measured_usd=0.5)}, tasks=["desk"])
    assert 'tutelage_cost_usd_total{component="training",task="desk"} 3.0' in text
    assert 'tutelage_baseline_usd_total{kind="measured",task="desk"} 2.0' in text
    assert 'tutelage_baseline_usd_total{kind="estimated",task="desk"} 10.0' in text
    assert 'tutelage_savings_usd{bound="estimate",task="desk"} 7.0' in text
    assert 'tutelage_savings_usd{bound="lower",task="desk"} 5.0' in text
    assert 'tutelage_savings_usd{bound="upper",task="desk"} 9.0' in text
    assert 'tutelage_tokens_total{by="student",kind="prompt",task="desk"} 7.0' in text
    assert 'tutelage_baseline_usd_total{kind="measured",task="none"} 0.5' in text


def test_a_task_that_is_renamed_begins_anew_and_leaves_its_past_under_the_old_name():
    text = shown({"desk": Savings(1, measured_usd=0.5)}, tasks=["help-desk"])
    assert 'tutelage_baseline_usd_total{kind="measured",task="desk"} 0.5' in text
    assert 'tutelage_baseline_usd_total{kind="measured",task="help-desk"} 0.0' in text
