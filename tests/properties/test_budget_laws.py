"""Laws of a budget: whatever comes in which order, it is never passed by more than one request's price."""

import math
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger.budgets import TOTAL, Budget, NoRoom, amounts, of_key, of_task, reserve, settle
from ledger.database import connect

LEASE_S = 60.0
PRICES = st.floats(0.0, 1.5, allow_subnormal=False)
SLACK = 1e-6


class Spending(RuleBasedStateMachine):
    """Gateways promise, pay, fail, are killed, pay late and pay twice; no teacher counts more than was promised."""

    @initialize(dollars=st.floats(0.1, 3.0), of_a_key=st.floats(0.1, 3.0))
    def begin(self, dollars, of_a_key):
        self.folder = tempfile.TemporaryDirectory()
        self.engine = connect(f"sqlite:///{Path(self.folder.name)}/ledger.db")
        self.scopes = [(TOTAL, Budget(dollars, "total")), (of_key("k"), Budget(of_a_key, "total"))]
        self.now, self.made = 0.0, 0
        self.open: dict[str, tuple[float, float, int]] = {}  # promised, until, scopes
        self.paid: list[list[float]] = [[], []]

    @rule(usd=PRICES, of_key=st.booleans())
    def ask(self, usd, of_key):
        self.made += 1
        number = 2 if of_key else 1
        try:
            reserve(self.engine, str(self.made), self.scopes[:number], usd=usd, now=self.now, lease_s=LEASE_S)
        except NoRoom:
            return
        self.open[str(self.made)] = (usd, self.now + LEASE_S, number)

    @rule(data=st.data(), share=st.floats(0.0, 1.0))
    def answer(self, data, share):
        if not self.open:
            return
        one = data.draw(st.sampled_from(sorted(self.open)))
        promised, _, number = self.open.pop(one)
        settle(self.engine, one, usd=share * promised)
        settle(self.engine, one, usd=promised)  # a second time nothing happens
        for paid in self.paid[:number]:
            paid.append(share * promised)

    @rule(seconds=st.floats(0.0, 2 * LEASE_S))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def holds(self):
        if not hasattr(self, "engine"):
            return
        found = amounts(self.engine, now=0.0)
        for number, (scope, budget) in enumerate(self.scopes):
            spent, reserved = found.get((scope, "total"), (0.0, 0.0))
            under_way = math.fsum(usd for usd, _, scopes in self.open.values() if scopes > number)
            paid = math.fsum(self.paid[number])
            assert spent + reserved <= budget.usd + SLACK
            # Nothing is forgotten: what was paid, and what killed or slow ones may still pay, is all in it.
            assert abs(spent + reserved - paid - under_way) < SLACK

    def teardown(self):
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.folder.cleanup()


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


def test_an_estimate_that_was_too_low_costs_its_own_excess_and_nothing_more(tmp_path):
    engine, scopes = connect(f"sqlite:///{tmp_path}/ledger.db"), [(of_task("desk"), Budget(1.0, "total"))]
    reserve(engine, "a", scopes, usd=0.9, now=0.0, lease_s=LEASE_S)
    settle(engine, "a", usd=1.3)
    for number in range(5):
        try:
            reserve(engine, str(number), scopes, usd=0.0001, now=0.0, lease_s=LEASE_S)
        except NoRoom:
            continue
        raise AssertionError("a budget that is passed has room")
    assert amounts(engine, now=0.0)[of_task("desk"), "total"] == (1.3, 0.0)
