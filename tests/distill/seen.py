"""Windows of a few rows, as a release was judged by them."""

from typing import Any

from calibration.certify import ScoredRow
from distill.anchor import Seen
from ledger.queries import Row
from ledger.records import Draft, Usage

ROW: dict[str, Any] = {
    "at": 1.0,
    "messages": [{"role": "user", "content": "which?"}],
    "params": {},
    "eligible": True,
    "answered_at": 0.0,
    "reference": True,
    "rho": 1.0,
    "route": "teacher",
    "release": None,
    "draft_text": None,
    "draft_finish_reason": None,
    "teacher": "big",
    "teacher_text": None,
    "teacher_finish_reason": "stop",
    "teacher_background": False,
    "replied": True,
    "score": None,
    "teaches": True,
    "answer": None,
    "good": None,
    "correction": None,
    "forgotten": False,
}


def row(number: int, **fields: Any) -> Row:
    return Row(**{**ROW, "exchange_id": f"id-{number}", **fields})


def window(*rows: tuple[str | None, str | None, dict[str, Any]], scores: tuple[float, ...] = ()) -> Seen:
    """Of (draft, teacher's answer, what else the row has); they agree where the texts are equal."""
    return Seen(
        window=tuple(row(n, answer=answer, **said) for n, (_, answer, said) in enumerate(rows)),
        answers=tuple(answer for _, answer, _ in rows),
        rows=tuple(
            ScoredRow(score, float(draft is None or draft != answer))
            for (draft, answer, _), score in zip(rows, scores or (0.9,) * len(rows), strict=True)
        ),
        drafts=tuple(draft and Draft(draft, "stop", {"x": 1.0}, Usage(5, 1), 0.001, 0.1) for draft, _, _ in rows),
    )
