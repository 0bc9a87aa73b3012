"""Which of a task's labels the teacher has probably got wrong, and how many about: out-of-fold confident learning.

A classifier of the texts says of each row, from rows that are no near-duplicates of it, how probable each label is.
Confident learning (Northcutt, Jiang, Chuang: Confident Learning, JAIR 2021, section 3, https://arxiv.org/abs/1911.00068;
cleanlab) counts the confident joint: how often a label is given where another one is as probable as that one is among
its own rows. From it the share of wrong labels is estimated, and rows are picked, both by class and by noise rate.
Where labels have few rows the classifier is unsure of good ones too, and picks them: here a row is suspected only if
another label is also MARGIN more probable than its own, and only by a classifier that is worth it
(docs/decisions/0020).

Knows texts and answers only. The classifier is no student and decides nothing about one.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from cleanlab.count import num_label_issues
from cleanlab.filter import find_label_issues
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import Normalizer

# When answers are labels: a label is given in so many clusters of texts, such labels are most of all answers, and there
# are two of them at least. Their number bounds the memory, rows * labels * 8 bytes.
LEAST_CLUSTERS, LEAST_COVERED, MOST_LABELS = 5, 0.8, 300

MARGIN = 0.7  # in probability
# Beyond either the classifier is doubted, and not the teacher: the estimate; its mean probability of what it expects,
# less the share in which that is given, which is about zero or below where texts tell the labels.
MOST_NOISE, MOST_SURER = 0.25, 0.03

FOLDS = 5
LETTERS = 1000  # of a text that are read, half from each end: 20,000 such texts take 1 GB
HASHED, DIMENSIONS, POWERS = 2**13, 256, 2  # n-grams of each kind; reduced to so many, by so many power iterations
INVERSE_L2, ITERATIONS = 10.0, 300  # of the logistic regression, on vectors of length one

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Noise:
    """Of `rows` answers that are one of `labels` labels about the share `estimate`, in [0, 1], is wrong: with a dozen
    rows a label half of that (docs/curation.md). `suspected`: the positions, among all answers, of those that probably
    are; `expected`: the label that each of them should have, the surest first. `surer`: by so much, in probability, the
    classifier is surer on average than it is right."""

    rows: int
    labels: int
    estimate: float
    surer: float
    suspected: frozenset[int] = field(repr=False)
    expected: Mapping[int, str] = field(default_factory=dict, repr=False)

    @property
    def doubt(self) -> str | None:
        """Why the suspected rows stay; None where they are to be left out."""
        if self.estimate > MOST_NOISE:
            return "too many to be believed: all stay"
        return "by a classifier that is surer than it is right: all stay" if self.surer > MOST_SURER else None

    @property
    def words(self) -> str:
        """For whoever watches."""
        told = f"the teacher errs in an estimated {self.estimate:.1%} of {self.rows:,} labelled rows"
        return f"{told}, {self.doubt or f'{len(self.suspected)} suspected'}"

    @property
    def facts(self) -> dict[str, float | str]:
        """For a release's report."""
        counts = {"rows": self.rows, "labels": self.labels, "suspected": len(self.suspected)}
        return {**counts, "estimate": self.estimate, "surer": self.surer, "words": self.words}


@dataclass(frozen=True)
class NoLabels:
    """Nothing is suspected, since the answers are not labels; why not."""

    reason: str

    @property
    def words(self) -> str:
        """For whoever watches."""
        return f"the teacher's errors are not looked for: {self.reason}"

    @property
    def facts(self) -> dict[str, float | str]:
        """For a release's report."""
        return {"words": self.words}


def suspect(
    texts: Sequence[str],
    answers: Sequence[str],
    *,
    clusters: Sequence[int],
    sure: Set[int],
    seed: int,
    progress: Callable[[int, int], None],
) -> Noise | NoLabels:
    """Look for labels that are probably wrong.

    `texts`, `answers` and `clusters` are aligned, answers already normalised; rows of one cluster are near-duplicates
    and stay in one fold. Those at the positions `sure` are beyond doubt. `progress` gets steps done and in all: 5,000
    rows with 150 labels take some five seconds. The same rows, seed, machine and number of threads give the same.
    """
    labels = _labels(answers, clusters)
    if isinstance(labels, NoLabels):
        return labels
    at = np.array([i for i, answer in enumerate(answers) if answer in labels])
    given = np.array([labels[answers[i]] for i in at])
    vectors = _vectors([_bounded(texts[i]) for i in at], seed=seed)
    progress(1, 1 + FOLDS)
    groups = [clusters[i] for i in at]
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(vectors, given, groups)
    probable = np.zeros((len(at), len(labels)))
    for done, (seen, unseen) in enumerate(folds, start=2):
        model = LogisticRegression(C=INVERSE_L2, max_iter=ITERATIONS).fit(vectors[seen], given[seen])
        probable[np.ix_(unseen, model.classes_)] = model.predict_proba(vectors[unseen])
        progress(done, 1 + FOLDS)
    names, expected = list(labels), dict[int, str]()
    for row in _doubted(given, probable):
        if (position := int(at[row])) not in sure:
            expected[position] = names[probable[row].argmax()]
    return Noise(
        rows=len(at),
        labels=len(labels),
        estimate=float(num_label_issues(given, probable)) / len(at),
        surer=float(probable.max(axis=1).mean() - (probable.argmax(axis=1) == given).mean()),
        suspected=frozenset(expected),
        expected=expected,
    )


def _bounded(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS // 2]} {text[-LETTERS // 2 :]}"


def _labels(answers: Sequence[str], clusters: Sequence[int]) -> dict[str, int] | NoLabels:
    """The number of each answer that is a label, in the order of their names."""
    found: dict[str, set[int]] = defaultdict(set)
    for answer, number in zip(answers, clusters, strict=True):
        found[answer].add(number)
    often = sorted(answer for answer, where in found.items() if len(where) >= LEAST_CLUSTERS)
    rows = Counter(answers)
    covered = sum(rows[answer] for answer in often)
    if len(often) < 2 or covered < LEAST_COVERED * len(answers):
        return NoLabels(
            f"answers are no labels: {len(often)} of {len(found)} different ones come {LEAST_CLUSTERS} times or more "
            f"with texts that are not alike, in {covered} of {len(answers)} rows"
        )
    if len(often) > MOST_LABELS:
        return NoLabels(f"{len(often)} labels are more than the {MOST_LABELS} among which errors are looked for")
    return {answer: number for number, answer in enumerate(often)}


def _vectors(texts: Sequence[str], *, seed: int) -> Floats:
    """(N, at most DIMENSIONS): words and character n-grams, reduced; they know no label, so all rows may shape them."""
    counted = {"n_features": HASHED, "alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(ngram_range=(1, 2), **counted)
    letters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), **counted)
    weighed = make_union(*(make_pipeline(each, TfidfTransformer(sublinear_tf=True)) for each in (words, letters)))
    reduced = TruncatedSVD(min(DIMENSIONS, len(texts) - 1), n_iter=POWERS, random_state=seed)
    vectors: Floats = make_pipeline(weighed, reduced, Normalizer()).fit_transform(texts)
    return vectors


def _doubted(given: Ints, probable: Floats) -> list[int]:
    """The rows whose label is probably wrong, by the margin of the label that is more probable, the largest first."""
    own = probable[np.arange(len(given)), given]
    issues = find_label_issues(given, probable, filter_by="both", n_jobs=1)
    judged = own > 0.0  # exactly zero where the rows to learn from had no such label
    margins = probable.max(axis=1) - own
    doubted = np.flatnonzero(issues & judged & (margins >= MARGIN))
    found: list[int] = doubted[np.argsort(-margins[doubted], kind="stable")].tolist()
    return found
