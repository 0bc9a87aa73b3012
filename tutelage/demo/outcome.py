"""What the demo measured, and what of it fails the demo. Facts only."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import sqlalchemy as sa

from calibration.agreement import disagreement
from calibration.bounds import binomial_interval
from calibration.words import percent
from ledger.queries import answered_after, answers_since, spend
from ledger.releases import Release
from tutelage.demo.plan import MIN_RECOVERED, MIN_SHARE, TEACHER_PRICE
from tutelage.demo.traffic import Sent

SEEN_S = 1.0  # gateways read four times a second what is in force


@dataclass(frozen=True)
class Phase:
    """A phase in which a release serves, in numbers. `agreed` counts all student answers, as the local teacher judges
    them afterwards; `reference_*` is what the product itself knows, from its reference stream."""

    release: str
    in_force_at: float
    requests: int
    student_answers: int
    agreed: int
    reference_count: int
    reference_agreed: int
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
    def saved(self) -> float:
        """Share of the teacher-only dollars."""
        return 1.0 - self.spent_usd / self.baseline_usd if self.baseline_usd else 0.0

    @property
    def reference_interval(self) -> tuple[float, float]:
        """95 % interval of agreement from the references alone."""
        low, high = binomial_interval(self.reference_count - self.reference_agreed, self.reference_count)
        return 1.0 - high, 1.0 - low

    def failures(self, *, alpha: float, min_share: float) -> list[str]:
        """What the demo claims of such a phase and this one did not show."""
        found = []
        if self.share < min_share:
            found.append(f"{self.release} answered {self.share:.1%} of its phase, not {min_share:.0%}")
        if self.agreement < 1.0 - alpha:
            found.append(
                f"{self.agreement:.1%} of {self.release}'s answers equal the teacher's, not {percent(1 - alpha)}"
            )
        if self.spent_usd >= self.baseline_usd:
            found.append(
                f"{self.release} cost ${self.spent_usd:.4f}, no less than ${self.baseline_usd:.4f} teacher-only"
            )
        return found


@dataclass(frozen=True)
class Drift:
    """Drifted traffic under a release that was made for the traffic before it, from `began_at` to `closed_at`."""

    requests: int
    student_answers: int
    agreed: int
    began_at: float
    closed_at: float
    reason: str

    @property
    def words(self) -> str:
        """What clients got of it."""
        counts = f"the student answered {self.student_answers} of {self.requests} drifted requests"
        return f"{counts}, {self.student_answers - self.agreed} of them not as the teacher would"


@dataclass(frozen=True)
class DemoOutcome:
    """The phase before the drift, the drift, and the phase under the next release."""

    before: Phase
    drift: Drift | None = None
    after: Phase | None = None
    under_void: int = 0  # requests that the student answered under the voided certificate, by the ledger

    @property
    def phases(self) -> list[Phase]:
        """Those in which a release serves the traffic that it was made for."""
        return [phase for phase in (self.before, self.after) if phase]

    def failures(self, *, alpha: float) -> list[str]:
        """What the demo claims and this run did not show."""
        least = (MIN_SHARE, MIN_RECOVERED * self.before.share)
        judged = zip(self.phases, least, strict=False)
        found = [words for phase, share in judged for words in phase.failures(alpha=alpha, min_share=share)]
        if self.under_void:
            found.append(f"{self.under_void} requests were answered under a certificate that the alarm had voided")
        return found


def measure(
    engine: sa.Engine, champion: Release, *, since: float, served: Sequence[Sent], truth: Sequence[Sent]
) -> Phase:
    """Bring together what the client saw, what the ledger holds since `since`, and the local teacher's answers."""
    by_student = [s for s in served if s.route == "student"]
    by_teacher = [s for s in served if s.route == "teacher"]
    references = [one for one in answers_since(engine, champion.name) if one.reference and one.at > since]
    return Phase(
        release=champion.name,
        in_force_at=champion.changed_at,
        requests=len(served),
        student_answers=len(by_student),
        agreed=_agreed(by_student, truth),
        reference_count=len(references),
        reference_agreed=sum(not disagreement(one.text, one.teacher_text) for one in references),
        spent_usd=spend(engine, champion.task, since=since).total_usd,
        baseline_usd=sum(map(_teacher_usd, (*by_teacher, *truth))),
        student_p50_s=median([s.latency_s for s in by_student] or [0.0]),
        teacher_p50_s=median([s.latency_s for s in by_teacher] or [0.0]),
    )


def answered_under_void(engine: sa.Engine, voided: Release) -> int:
    """Requests that arrived after the alarm, and after every gateway has seen it."""
    return answered_after(engine, voided.name, since=voided.changed_at + SEEN_S)


def measure_drift(voided: Release, *, served: Sequence[Sent], truth: Sequence[Sent]) -> Drift:
    """What clients saw until the alarm, and what it said."""
    by_student = [s for s in served if s.route == "student"]
    return Drift(
        requests=len(served),
        student_answers=len(by_student),
        agreed=_agreed(by_student, truth),
        began_at=min((s.at for s in served), default=voided.changed_at),
        closed_at=voided.changed_at,
        reason=str((voided.refusal or {}).get("reason", "")),
    )


def _agreed(answered: Sequence[Sent], truth: Sequence[Sent]) -> int:
    return sum(not disagreement(s.answer, t.answer) for s, t in zip(answered, truth, strict=True))


def _teacher_usd(sent: Sent) -> float:
    """What the teacher's answer to this request costs, from its own usage record."""
    if sent.usage is None:
        return 0.0
    read = sent.usage.prompt_tokens * TEACHER_PRICE["input_usd_per_mtok"]
    return (read + sent.usage.completion_tokens * TEACHER_PRICE["output_usd_per_mtok"]) / 1e6
