"""Budgets kept to before a teacher is asked: total, a task's, a key's. The ledger counts for all gateways together.

Its questions are short and block, so they are asked on a thread of their own, one at a time: the processes compete for
the ledger's write lock, and the threads of one process need not. What is not limited costs nothing.
"""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from ledger import budgets
from ledger.budgets import TOTAL, Amounts, Balance, Budget, NoRoom, balances, of_key, of_task
from ledger.records import Usage
from router.errors import BudgetReserved, BudgetUnavailable, InsufficientQuota, TeacherUnavailable
from router.ports import Bill, Caller
from router.teacher import Prices

LABEL_SHARE = 0.05  # of a budget, kept for the labels of references that are drawn already
STALE_S = 5.0  # a reading of the ledger that is older says nothing
SETTLE_PAUSES_S = (0.0, 1.0, 5.0, 25.0)
log = logging.getLogger(__name__)
T = TypeVar("T")


class LedgerBudgets:
    """`router.ports.Budgets`. `lease_s`: longer than any teacher takes, with what it waits for room."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        total: Budget | None,
        tasks: Mapping[str, Budget],
        prices: Prices,
        lease_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._total = total
        self._tasks = dict(tasks)
        self._prices = prices
        self._lease_s = lease_s
        self._clock = clock
        self._amounts: Amounts = {}
        self._read_at = -math.inf
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="budgets")

    def read(self, engine: sa.Engine) -> None:
        """Take over what the ledger says now (blocking)."""
        self._amounts = budgets.amounts(engine, now=self._clock())
        self._read_at = self._clock()

    def leaves_references(self, task: str) -> bool:
        """Whether references may be drawn: known before any request, so that none is left out for what it is."""
        scopes = self._scopes(task)
        if not scopes:
            return True
        now = self._clock()
        if now - self._read_at > STALE_S:  # a label could not be paid
            return False
        return all(each.left_usd >= LABEL_SHARE * each.budget.usd for each in balances(self._amounts, scopes, now=now))

    async def reserve(self, bill: Bill) -> str | None:
        """Promise what a request may cost at most; what is returned is to be settled. None: nothing limits it.

        Raises InsufficientQuota, BudgetUnavailable, and TeacherUnavailable where its price is not known.
        """
        scopes = self._scopes(bill.task, bill.payer)
        if not scopes:
            return None
        usd, now, reservation = await self._price(bill.teacher, bill.most), self._clock(), uuid.uuid4().hex
        for each in balances(self._amounts, scopes, now=now):
            if each.used_up(usd):  # clients that go on asking wait for no ledger, and keep nobody else waiting
                raise _refusal(each, usd, now)
        ask = partial(budgets.reserve, self._engine, reservation, scopes, usd=usd, now=now, lease_s=self._lease_s)
        try:
            await self._blocking(ask)
        except NoRoom as error:
            raise _refusal(error.balance, usd, now) from error
        except sa.exc.SQLAlchemyError as error:
            log.warning("ledger not writable, what has a budget is not asked of teachers: %s", type(error).__name__)
            raise BudgetUnavailable("The budget cannot be checked at the moment. Try again later.") from error
        return reservation

    async def settle(self, reservation: str, *, usd: float | None) -> None:
        """Pay the real cost; None: it is not known, and what was promised is paid. Outlives a ledger that is away for
        some seconds; afterwards the reservation ends with its lease, and counts in full."""
        ask = partial(budgets.settle, self._engine, reservation, usd=usd)
        for pause_s in SETTLE_PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                return await self._blocking(ask)
            except sa.exc.SQLAlchemyError as error:
                log.warning("a reservation is not settled yet: %s", type(error).__name__)
        log.error("a reservation could not be settled: it counts in full when its lease ends")
        return None

    def balances(self, accounts: Mapping[str, Budget]) -> list[Balance]:
        """Of everything that has a budget, as last read."""
        keys = [(of_key(account), budget) for account, budget in accounts.items()]
        tasks = [(of_task(task), budget) for task, budget in self._tasks.items()]
        total = [(TOTAL, self._total)] if self._total else []
        return list(balances(self._amounts, [*total, *tasks, *keys], now=self._clock()))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _scopes(self, task: str | None, payer: Caller | None = None) -> list[tuple[str, Budget]]:
        scopes = [(TOTAL, self._total)] if self._total else []
        if task in self._tasks:
            scopes.append((of_task(task), self._tasks[task]))
        if payer and payer.account and payer.grant.budget:
            scopes.append((of_key(payer.account), payer.grant.budget))
        return scopes

    async def _price(self, teacher: str, most: Usage) -> float:
        price = await self._prices.price_soon(teacher)
        if price is None:
            raise TeacherUnavailable(f"The price of the teacher {teacher!r} is not known yet", status=503)
        return price.most(most)

    def _blocking(self, ask: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, ask)


def _refusal(balance: Balance, usd: float, now: float) -> InsufficientQuota:
    """Which budget, and when to try again; how much it holds is not everybody's to know."""
    kind, _, name = balance.scope.partition(":")
    whose = {TOTAL: "this gateway", "task": f"the task {name}", "key": "this API key"}[kind]
    if not balance.used_up(usd):  # what is under way may cost less than was reserved for it
        return BudgetReserved(
            f"The budget of {whose} is taken by requests under way. Please try again.", headers={"retry-after": "1"}
        )
    ends_at = balance.budget.ends_at(now)
    headers = {"x-should-retry": "false"}  # OpenAI's clients would try again at once
    if ends_at is not None:
        headers["retry-after"] = str(math.ceil(ends_at - now))
    return InsufficientQuota(f"You exceeded your current quota: the budget of {whose} is used up.", headers=headers)
