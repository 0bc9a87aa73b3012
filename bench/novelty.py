"""Would it help to know how unlike the lessons a request is? On windows that real students were certified on.

    python -m bench.novelty LEDGER.db ...

Likeness: as of `calibration.familiar`, to any request that taught the student. Compared with the score alone, and with
both together (logistic, by two folds of the window): the area under the ROC curve for agreement, and the risk of the
best two fifths.

And of what each release has answered, as far as it was a reference: what would be left, and how much of it wrong, if it
gave to the teacher what is less like its lessons than so large a part of the rows that its calibrator was fitted on;
and if it gave away as much by its score alone.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from calibration.agreement import disagreement
from calibration.familiar import Familiar
from ledger.schema import exchanges, releases, row_uses, teacher_replies
from ledger.texts import variable_text

BEST, FEW_ERRORS, EDGE = 0.4, 5, 1e-6
GUARDS = (0.02, 0.05, 0.1)


@dataclass(frozen=True)
class Window:
    """Of one release: scores, likenesses and disagreements, aligned, of the drafts that the gateway could accept."""

    release: str
    score: np.ndarray
    likeness: np.ndarray
    wrong: np.ndarray

    @property
    def together(self) -> np.ndarray:
        """A score from both, each half of the rows by what the other half has shown."""
        clipped = np.clip(self.score, EDGE, 1 - EDGE)
        columns = np.column_stack([np.log(clipped / (1 - clipped)), self.likeness])
        found, fold = np.zeros(len(self.wrong)), np.arange(len(self.wrong)) % 2
        for half in (0, 1):
            mean, scale = columns[fold != half].mean(axis=0), columns[fold != half].std(axis=0)
            model = LogisticRegression().fit((columns[fold != half] - mean) / scale, 1 - self.wrong[fold != half])
            found[fold == half] = model.decision_function((columns[fold == half] - mean) / scale)
        return found

    def row(self) -> str:
        """Of the table."""
        ways = (self.score, self.likeness, self.together)
        areas = [f"{roc_auc_score(1 - self.wrong, way):.3f}" for way in ways]
        best = int(BEST * len(self.wrong))
        risks = [f"{self.wrong[np.argsort(-way)[:best]].mean():.1%}" for way in (self.score, self.together)]
        cells = (self.release, str(len(self.wrong)), f"{self.wrong.mean():.1%}", *areas, *risks)
        return f"| {' | '.join(cells)} |"


def windows(ledger: Path) -> list[Window]:
    """Of every release in a ledger that was certified on more than a few errors, or refused for them."""
    engine = sa.create_engine(f"sqlite:///file:{ledger}?mode=ro&uri=true")
    with engine.connect() as connection:
        named = sa.select(row_uses.c.release).where(row_uses.c.use == "certify").distinct()
        found = [_window(connection, name) for name in sorted(connection.execute(named).scalars())]
    return [window for window in found if window is not None and window.wrong.sum() >= FEW_ERRORS]


def _window(connection: sa.Connection, release: str) -> Window | None:
    taught = [text for text, *_ in _rows(connection, release, ("train", "validate"))]
    texts, scores, wrong = zip(*_rows(connection, release, ("certify",)), strict=True)
    if not taught:
        return None
    likeness = np.array(list(map(_taught_by(taught).likeness, texts)))
    usable = np.array(scores) >= 0
    return Window(release, np.array(scores)[usable], likeness[usable], np.array(wrong)[usable])


def _taught_by(texts: Sequence[str]) -> Familiar:
    known = Familiar.with_all_of(texts, seed=0)
    assert known is not None
    return known


def guarded(ledger: Path) -> list[str]:
    """A line for each release that has answered references."""
    engine = sa.create_engine(f"sqlite:///file:{ledger}?mode=ro&uri=true")
    with engine.connect() as connection:
        named = sa.select(releases.c.name).where(releases.c.certificate.is_not(None)).order_by(releases.c.name)
        found = [_guarded(connection, name) for name in connection.execute(named).scalars()]
    return [line for line in found if line]


def _guarded(connection: sa.Connection, release: str) -> str | None:
    query = (
        sa.select(exchanges.c.messages, exchanges.c.draft_text, exchanges.c.score, teacher_replies.c.text)
        .join(teacher_replies, teacher_replies.c.exchange_id == exchanges.c.id)
        .where(exchanges.c.release == release, exchanges.c.reference, exchanges.c.route == "student")
    )
    answered = [row for row in connection.execute(query) if row.text is not None]
    taught = [text for text, *_ in _rows(connection, release, ("train", "validate"))]
    if not answered or not taught:
        return None
    known, texts = _taught_by(taught), [variable_text(row.messages) for row in answered]
    wrong = np.array([bool(disagreement(row.draft_text, row.text)) for row in answered])
    surest = np.argsort([-row.score for row in answered])
    fit = [text for text, *_ in _rows(connection, release, ("fit",))]
    cells = []
    for guard in GUARDS:
        left = np.array(list(map(known.but(guard, of=fit).has, texts)))
        cells.append(f"{left.mean():.0%}: {wrong[left].mean():.1%}, {wrong[surest[: left.sum()]].mean():.1%}")
    return f"| {release} | {len(wrong)} | {wrong.mean():.1%} | {' | '.join(cells)} |"


def _rows(connection: sa.Connection, release: str, uses: Sequence[str]) -> list[tuple[str, float, float]]:
    query = (
        sa.select(exchanges.c.messages, row_uses.c.score, row_uses.c.disagreement)
        .join(row_uses, row_uses.c.exchange_id == exchanges.c.id)
        .where(row_uses.c.release == release, row_uses.c.use.in_(uses))
        .order_by(exchanges.c.at)
    )
    return [(variable_text(messages), score, wrong) for messages, score, wrong in connection.execute(query)]


def main() -> None:
    """Print the table."""
    lines = [
        "| release | drafts | disagree | area: score | likeness | both | risk of the best 40 %: score | both |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [window.row() for ledger in sys.argv[1:] for window in windows(Path(ledger))]
    lines += [
        "",
        f"| release | answered | disagree | {' | '.join(f'{guard:.0%}' for guard in GUARDS)} |",
        "|---|---|---|---|---|---|",
    ]
    lines += [line for ledger in sys.argv[1:] for line in guarded(Path(ledger))]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
