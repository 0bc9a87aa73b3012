"""Whether a student pays: what it would save a month against what it takes to make and to keep it. US dollars.

Before there is one, only the most that any could save is known; afterwards, what the newest certified one accepts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import sqlalchemy as sa

from calibration.words import percent
from ledger.prices import Price, dollars
from ledger.releases import ReleaseError, newest_certified
from ledger.standing import Traffic, traffic

DAY_S, MONTH_DAYS = 86_400.0, 30.0
FEWEST_REQUESTS = 100  # of fewer nothing is said
OTHERS_S = 600.0  # so long a month of what other tasks asked counts as it was: it is read for each that is weighed


@dataclass(frozen=True)
class Costs:
    """Of one task. `teacher_usd` a request; `draft_usd` a draft of the student; `draftable`: the share of all requests
    that a student can be asked; `rho`: the share of these that the teacher answers in any case."""

    teacher_usd: float
    draft_usd: float
    draftable: float
    rho: float

    def with_student(self, coverage: float) -> float:
        """A request, where the student's drafts are accepted in this share of what can be drafted.

        Every request that can be is drafted; the teacher answers what is not accepted, and the share rho of what is.
        """
        asked = 1.0 - self.draftable * coverage * (1.0 - self.rho)
        return self.draftable * self.draft_usd + asked * self.teacher_usd

    def share_to_match(self, usd: float) -> float | None:
        """The share of all requests that the student has to take for its way to cost this much a request; None where
        no share would do."""
        saved = self.teacher_usd + self.draftable * self.draft_usd - usd
        share = max(0.0, saved / ((1.0 - self.rho) * self.teacher_usd))
        return share if share < self.draftable else None


@dataclass(frozen=True)
class Machine:
    """One that is paid for by the hour, `usd` a month, for the students of several tasks; of each that may have one,
    its teacher."""

    usd: float
    teachers: Mapping[str, str]


@dataclass(frozen=True)
class Terms:
    """What a student has to earn. `draft`: the price of its tokens; `rho` as of `Costs`; `training_usd` a run,
    `upkeep_usd` a month; `within_months`: so soon it has to have paid for both (None: it need not pay); `machine`: of
    which it takes a share, None where tokens have a price."""

    draft: Price
    rho: float
    training_usd: float = 0.0
    upkeep_usd: float = 0.0
    within_months: float | None = None
    machine: Machine | None = None


@dataclass(frozen=True)
class Worth:
    """Of a student of one task. `monthly`: requests a month at the pace of so many `days`; `coverage`: the share of
    what can be drafted that the newest certified release accepts, None where there was none; `machine_usd`: its share
    of the machine, a month."""

    terms: Terms
    costs: Costs
    monthly: float
    days: float
    coverage: float | None
    machine_usd: float = 0.0

    @property
    def spent_usd(self) -> float:
        """A month with the teacher alone."""
        return self.monthly * self.costs.teacher_usd

    @property
    def saved_usd(self) -> float:
        """A month, upkeep and machine paid; at most, where no release says how much is accepted."""
        return self._saved_usd(1.0 if self.coverage is None else self.coverage)

    @property
    def pays(self) -> bool:
        """Whether any student can have paid for its training in time. The last one's coverage forbids no better one."""
        months = self.terms.within_months
        return months is None or self._saved_usd(1.0) * months >= self.terms.training_usd

    def _saved_usd(self, coverage: float) -> float:
        fixed = self.terms.upkeep_usd + self.machine_usd
        return self.spent_usd - self.monthly * self.costs.with_student(coverage) - fixed

    @property
    def takes(self) -> str:
        """What it costs whatever it answers, and until when that is to be earned."""
        machine = f", its share of the machine {dollars(self.machine_usd)} a month" if self.terms.machine else ""
        upkeep, run = dollars(self.terms.upkeep_usd), dollars(self.terms.training_usd)
        months = self.terms.within_months or math.inf
        return f"upkeep is {upkeep} a month{machine} and a run {run}, to be earned within {months:g} months"

    @property
    def words(self) -> str:
        """What is spent and saved, and by what that is told."""
        alone = f"the teacher alone costs {dollars(self.spent_usd)} a month at the pace of {self.days:.1f} days"
        taken = "all" if self.coverage is None else f"{percent(self.coverage)} of what"
        machine = f", with {dollars(self.machine_usd)} a month of the machine," if self.terms.machine else ""
        student, saved = f"a student that took {taken} it may{machine}", self.saved_usd
        if saved < 0:
            return f"{alone}, {student} would cost {dollars(-saved)} more"
        return f"{alone}, {student} would save {dollars(saved)} of it"


def appraise(engine: sa.Engine, task: str, *, teacher: str, terms: Terms, now: float) -> Worth | None:
    """By the traffic of the last month; None where there has been too little of it to tell."""
    found = traffic(engine, task, teacher=teacher, since=now - MONTH_DAYS * DAY_S)
    if found is None or found.answered < FEWEST_REQUESTS:
        return None
    draft_usd = (
        found.prompt_tokens * terms.draft.input_usd_per_token + found.answer_tokens * terms.draft.output_usd_per_token
    )
    costs = Costs(found.teacher_usd, draft_usd, draftable=found.eligible / found.requests, rho=terms.rho)
    days = _days(found, now=now)
    others = drafted(engine, terms.machine, but=task, now=now)
    share = share_usd(terms.machine, tokens=_tokens(found, now=now), others=others)
    return Worth(terms, costs, found.requests / days * MONTH_DAYS, days, _coverage(engine, task), share)


def drafted(engine: sa.Engine, machine: Machine | None, *, but: str | None = None, now: float) -> float:
    """Tokens a month that students would draft of all tasks that may have one on this machine, but of one; as they were
    found in the last ten minutes."""
    tasks, since = machine.teachers if machine else {}, now // OTHERS_S * OTHERS_S - MONTH_DAYS * DAY_S
    found = (_traffic(engine, task, teacher=teacher, since=since) for task, teacher in tasks.items() if task != but)
    return sum(_tokens(each, now=now) for each in found if each)


@lru_cache(maxsize=1024)
def _traffic(engine: sa.Engine, task: str, *, teacher: str, since: float) -> Traffic | None:
    return traffic(engine, task, teacher=teacher, since=since)


def share_usd(machine: Machine | None, *, tokens: float, others: float) -> float:
    """Of a machine, US dollars a month: by tokens, as it is charged (`ledger.machine`) once all of them have one."""
    return machine.usd * tokens / (tokens + others) if machine and tokens else 0.0


def _tokens(found: Traffic, *, now: float) -> float:
    """A month, of all drafts of a student that is asked whatever it may be."""
    return found.eligible * (found.prompt_tokens + found.answer_tokens) / _days(found, now=now) * MONTH_DAYS


def _days(found: Traffic, *, now: float) -> float:
    return max(now - found.first_at, 1.0) / DAY_S


def _coverage(engine: sa.Engine, task: str) -> float | None:
    try:
        certificate = newest_certified(engine, task).certificate
    except ReleaseError:
        return None
    return float(certificate["coverage"]) if certificate else None
