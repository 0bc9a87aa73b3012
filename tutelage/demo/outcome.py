"""What the demo measured, and what of it fails the demo. Facts only."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import sqlalchemy as sa

from calibration.agreement import disagreement
from calibration.bounds import binomial_interval
from ledger.queries import reference_outcomes, spend
from ledger.releases import champions
from tutelage.demo.plan import MIN_SHARE, TEACHER_PRICE
from tutelage.demo.traffic import Sent


@dataclass(frozen=True)
class DemoOutcome:
    """The last phase in numbers. `agreed` counts all student answers, as the local teacher judges them afterwards;
    `reference_*` is what the product itself knows, from its reference stream."""

    release: str
    since: float
    requests: int
    student_answers: int
    agreed: int
    reference_count: int
    reference_agreed: int
    dropped: int
    spent_usd: float
    baseline_usd: float
    student_p50_s: float
    teacher_p50_s: float

    @property
    def share(self) -> float:
        """Share of requests the student answered."""
        return self.student_answers / self.requests

    @property
    def agreement(self) -> float:
        """Share of the student's answers that equal the teacher's."""
        return self.agreed / self.student_answers if self.student_answers else 0.0

    @property
    def reference_interval(self) -> tuple[float, float]:
        """95 % interval of agreement from the references alone."""
        low, high = binomial_interval(self.reference_count - self.reference_agreed, self.reference_count)
        return 1.0 - high, 1.0 - low

    def failures(self, *, alpha: float) -> list[str]:
        """What the demo claims and this run did not show."""
        found = []
        if self.share < MIN_SHARE:
            found.append(f"the student answered {self.share:.1%} of the last phase, not {MIN_SHARE:.0%}")
        if self.agreement < 1.0 - alpha:
            found.append(f"{self.agreement:.1%} of its answers equal the teacher's, not {1 - alpha:.0%}")
        if self.dropped:
            found.append(f"{self.dropped} requests were dropped")
        if self.spent_usd >= self.baseline_usd:
            found.append(f"${self.spent_usd:.4f} spent is no less than ${self.baseline_usd:.4f} teacher-only")
        return found


def measure(
    engine: sa.Engine, task: str, *, since: float, before: Sequence[Sent], served: Sequence[Sent], truth: Sequence[Sent]
) -> DemoOutcome:
    """Bring together what the client saw, what the ledger holds since `since`, and the local teacher's answers."""
    by_student = [s for s in served if s.route == "student"]
    by_teacher = [s for s in served if s.route == "teacher"]
    release = champions(engine)[task].name
    outcomes = reference_outcomes(engine, release, since=since)
    return DemoOutcome(
        release=release,
        since=since,
        requests=len(served),
        student_answers=len(by_student),
        agreed=sum(not disagreement(s.answer, t.answer) for s, t in zip(by_student, truth, strict=True)),
        reference_count=len(outcomes),
        reference_agreed=sum(not disagreement(*pair) for pair in outcomes),
        dropped=sum(s.answer is None for s in (*before, *served)),
        spent_usd=spend(engine, task, since=since).total_usd,
        baseline_usd=sum(map(_teacher_usd, (*by_teacher, *truth))),
        student_p50_s=median([s.latency_s for s in by_student] or [0.0]),
        teacher_p50_s=median([s.latency_s for s in by_teacher] or [0.0]),
    )


def _teacher_usd(sent: Sent) -> float:
    """What the teacher's answer to this request costs, from its own usage record."""
    if sent.usage is None:
        return 0.0
    read = sent.usage.prompt_tokens * TEACHER_PRICE["input_usd_per_mtok"]
    return (read + sent.usage.completion_tokens * TEACHER_PRICE["output_usd_per_mtok"]) / 1e6
