"""Whether a student pays: what it would save a month against what it takes to make and to keep it. US dollars.

How much it takes is told by the task's own learning curve; before there is one only the most that any could save is
known, and called that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import sqlalchemy as sa

from calibration.words import percent
from distill.outlook import UNKNOWN, Outlook, outlook, training_hours
from ledger.prices import Price, dollars
from ledger.releases import history
from ledger.standing import Traffic, traffic

DAY_S, MONTH_DAYS = 86_400.0, 30.0
FEWEST_REQUESTS = 100  # of fewer nothing is said
TOO_FEW = f"its teacher has answered clients less than {FEWEST_REQUESTS} times in a month: what it saves is not known"
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
    """What a student has to earn. `draft`: the price of its tokens; `rho` as of `Costs`; `alpha`: of its contract; it
    is made of `base_model` and `max_rows` at most; `training_usd` a run, and `training_usd_per_hour` of its training;
    `upkeep_usd` a month; `within_months`: so soon it has to have paid for all (None: it need not pay); `machine`: of
    which it takes a share, None where tokens have a price."""

    draft: Price
    rho: float
    alpha: float
    max_rows: int
    base_model: str
    training_usd: float = 0.0
    training_usd_per_hour: float = 0.0
    upkeep_usd: float = 0.0
    within_months: float | None = None
    machine: Machine | None = None


@dataclass(frozen=True)
class Worth:
    """Of a student of one task. `monthly`: requests a month at the pace of so many `days`; `outlook`: the share of what
    can be drafted that it is expected to take; `machine_usd`: its share of the machine, a month; `hours` of the last
    training, None before there was one."""

    terms: Terms
    costs: Costs
    monthly: float
    days: float
    outlook: Outlook = UNKNOWN
    machine_usd: float = 0.0
    hours: float | None = None

    @property
    def spent_usd(self) -> float:
        """A month with the teacher alone."""
        return self.monthly * self.costs.teacher_usd

    @property
    def saved_usd(self) -> float:
        """A month, upkeep and machine paid; at most, where nothing says how much it takes."""
        return self._spared_usd - self.terms.upkeep_usd - self.machine_usd

    @property
    def training_usd(self) -> float:
        """A run; its hours are those of the last."""
        return self.terms.training_usd + self.terms.training_usd_per_hour * (self.hours or 0.0)

    @property
    def months(self) -> float:
        """Until it has paid for its training; inf where it never has."""
        if self.saved_usd > 0:
            return self.training_usd / self.saved_usd
        return math.inf if self.training_usd or self.saved_usd else 0.0

    @property
    def pays(self) -> bool:
        """Whether it is expected to have paid in time."""
        return self.terms.within_months is None or self.months <= self.terms.within_months

    @property
    def _spared_usd(self) -> float:
        """What a month costs less, drafts paid."""
        coverage = 1.0 if self.outlook.coverage is None else self.outlook.coverage
        return self.spent_usd - self.monthly * self.costs.with_student(coverage)

    @property
    def words(self) -> str:
        """What is spent and saved, what it takes, and by what that is told."""
        alone = f"the teacher alone costs {dollars(self.spent_usd)} a month at the pace of {self.days:.1f} days"
        return f"{alone}; {self._student}; {self._takes}; assumed: {self._assumed}"

    @property
    def advice(self) -> str:
        """What to change where it does not pay."""
        if self._spared_usd <= 0:
            better = ", a larger alpha or more rows" if self.outlook.coverage is not None else ""
            why = f"drafts cost more than they spare: a lower student.price{better} changes that"
        elif self.saved_usd <= 0:
            spared = dollars(self._spared_usd)
            why = (
                f"upkeep and machine take all of the {spared} that it spares: more traffic or less of them changes that"
            )
        else:
            why = f"distill.pays_within_months: {math.ceil(self.months)} or a cheaper training would do"
        return f"{why}; with pays_within_months: null, or by `tutelage distill run`, it is trained whatever it saves"

    @property
    def _student(self) -> str:
        saved, known = self.saved_usd, self.outlook
        save = f"cost {dollars(-saved)} more" if saved < 0 else f"save {dollars(saved)} of it"
        if known.coverage is None:
            most = "" if saved < 0 else ", at most"
            return f"what a student takes is not known ({known.because}): one that took all it may would {save}{most}"
        return f"a student that took {percent(known.coverage)} of what it may ({known.because}) would {save}"

    @property
    def _takes(self) -> str:
        """What it costs whatever it answers, and when it has earned that."""
        machine = f", its share of the machine {dollars(self.machine_usd)} a month" if self.terms.machine else ""
        within = self.terms.within_months
        fixed = f"training is {dollars(self.training_usd)}, upkeep {dollars(self.terms.upkeep_usd)} a month{machine}"
        if math.isinf(self.months):
            return f"{fixed}, never earned"
        return f"{fixed}, earned in {self.months:.1f} months" + (f" of {within:g}" if within else "")

    @property
    def _assumed(self) -> str:
        terms = self.terms
        training_usd = terms.training_usd + terms.training_usd_per_hour
        free = {
            "training is free (distill.training_usd)": not (training_usd or terms.machine),
            "the hours of a first training are free": bool(terms.training_usd_per_hour) and self.hours is None,
            "upkeep is free (distill.upkeep_usd_per_month)": not (terms.upkeep_usd or terms.machine),
        }
        return ", ".join(["traffic as it was", "drafts as long as answers", *(each for each, so in free.items() if so)])


def appraise(engine: sa.Engine, task: str, *, teacher: str, terms: Terms, rows: int, now: float) -> Worth | None:
    """By the traffic of the last month and the releases so far, of one that is made of so many `rows`; None where there
    has been too little traffic to tell."""
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
    before = [each for each in history(engine, task) if each.base_model == terms.base_model]
    known = outlook(before, alpha=terms.alpha, rows=min(rows, terms.max_rows))
    return Worth(terms, costs, found.requests / days * MONTH_DAYS, days, known, share, training_hours(before))


def in_words(worth: Worth | None) -> str:
    """What is told of it with a decision."""
    return worth.words if worth else TOO_FEW


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
