"""Would it help to know how unlike the lessons a request is? On windows that real students were certified on.

    python -m bench.novelty LEDGER.db ...

Likeness: the largest cosine similarity of a request's hashed character 3- and 4-grams to those of any request that
taught the student. Compared with the score alone, and with both together (logistic, by two folds of the window): the
area under the ROC curve for agreement, and the risk of the best two fifths.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from distill.rows import variable_text
from ledger.schema import exchanges, row_uses

BEST, FEW_ERRORS, EDGE = 0.4, 5, 1e-6


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
    grams = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 4), n_features=2**12, alternate_sign=False)
    likeness = (grams.transform(texts) @ grams.transform(taught).T).max(axis=1).toarray().ravel()
    usable = np.array(scores) >= 0
    return Window(release, np.array(scores)[usable], likeness[usable], np.array(wrong)[usable])


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
    print("\n".join(lines))


if __name__ == "__main__":
    main()
