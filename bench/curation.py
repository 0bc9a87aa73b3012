"""Are the teacher's errors found among its labels, and is it worth while to leave them out?

    python -m bench.curation [../shared/data/banking77/train.csv] [--seeds 3] [--again]

Banking77's labels are the teacher's answers; a share of them is made wrong: any other intent, or one of the three that
are most like the right one, as a teacher errs. Curation sees texts and answers as in a run. What is measured of it:
precision and recall of the suspicion, the estimated share of errors beside the true one (of what was injected: what is
wrong in Banking77 itself counts as right), and the accuracy on 3,000 other rows of a classifier trained on all rows, on
those that are left, and on the right ones alone. That one is a linear support vector machine on words and letters, no
student. Prints the table of docs/curation.md.

With --again every suspect is put to a scripted teacher a second time: it errs anew in a tenth of its answers, or errs
once more where it has erred, in half of these; what becomes of the suspects is told instead.
"""

import argparse
import csv
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from rich.progress import track
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from distill.again import Bounds, Fate, Second
from distill.clusters import cluster
from distill.curate import Rules, curate
from distill.gateway import Reply, Request
from distill.rows import TrainingRow
from distill.suspicion import NoLabels

SIZES, INJECTED, TEST_ROWS, ALIKE = (1000, 4000), 0.1, 3000, 3
KINDS = ("none", "any other", "one alike")
REPEATED = {"anew": 0.0, "half of it again": 0.5}  # of its errors, when it is asked again
FATES: tuple[Fate, ...] = ("put right", "repeated", "otherwise")
Pair = tuple[str, str]  # text, intent


@dataclass(frozen=True)
class Found:
    """Of one training set. `looked`: rows among which errors are looked for; shares in [0, 1]; precision and recall are
    None where there is nothing to count; accuracies after training on all rows that teach without suspicion, those that
    teach with it, and those that are right."""

    looked: int
    labels: int
    suspected: float
    precision: float | None
    recall: float | None
    estimate: float
    true: float
    believed: bool
    accuracy: tuple[float, float, float]
    seconds: float


def measure(taught: Sequence[Pair], wrong: Sequence[str | None], *, test: Sequence[Pair], seed: int) -> Found:
    """`wrong`: in the place of the intent, where one is given."""
    rows = [_row(n, text, said or intent) for n, ((text, intent), said) in enumerate(zip(taught, wrong, strict=True))]
    clusters = cluster([row.variable_text for row in rows])
    started = time.monotonic()
    curated = curate(rows, clusters=clusters, seed=seed, progress=lambda *_: None)
    seconds = time.monotonic() - started
    if isinstance(curated.noise, NoLabels):
        raise SystemExit(curated.noise.words)
    suspected = {int(each.exchange_id) for each in curated.rejected if each.reason == "suspected teacher error"}
    kept = {int(row.exchange_id) for row in curated.kept}
    before = kept | suspected
    false = {n for n in before if wrong[n]}
    hits = len(suspected & false)
    return Found(
        looked=curated.noise.rows,
        labels=curated.noise.labels,
        suspected=len(suspected) / len(before),
        precision=hits / len(suspected) if suspected else None,
        recall=hits / len(false) if false else None,
        estimate=curated.noise.estimate,
        true=len(false) / len(before),
        believed=curated.noise.doubt is None,
        accuracy=tuple(_accuracy([rows[n] for n in sorted(some)], test) for some in (before, kept, before - false)),
        seconds=seconds,
    )


@dataclass(frozen=True)
class Teacher:
    """One that has erred in some of what it taught, and when it is asked again repeats so much of that, and errs in a
    tenth of the rest."""

    taught: Sequence[Pair]
    wrong: Sequence[str | None]
    like: Mapping[str, Sequence[str]]
    repeats: float
    seed: int

    def step(self, words: str) -> None:
        """Nothing is shown."""

    def advance(self, done: int, total: int) -> None:
        """Nothing is shown."""

    def answers(self, requests: Sequence[Request]) -> list[Reply]:
        """To each of its texts."""
        at = {text: number for number, (text, _) in enumerate(self.taught)}
        return [Reply(self._says(at[request["messages"][-1]["content"]]), "stop") for request in requests]

    def errs_in(self, row: TrainingRow) -> bool:
        """Whether it teaches another intent than its own."""
        return row.completion != self.taught[int(row.exchange_id)][1]

    def _says(self, number: int) -> str:
        rng, intent = random.Random(f"{self.seed} {number}"), self.taught[number][1]
        if (before := self.wrong[number]) and rng.random() < self.repeats:
            return before
        return rng.choice(self.like[intent]) if rng.random() < INJECTED else intent


@dataclass(frozen=True)
class Heard:
    """Of one training set: suspects by whether their answer was wrong and what became of them; how many were put right
    to what is not the intent; the rows that teach with suspects, without, and once these were asked about, and the
    share of each that is wrong."""

    fates: Mapping[tuple[bool, str], int]
    falsely: int
    teach: tuple[int, int, int]
    false: tuple[float, float, float]


def hear(teacher: Teacher) -> Heard:
    """Curate with it."""
    pairs = zip(teacher.taught, teacher.wrong, strict=True)
    rows = [_row(n, text, said or intent) for n, ((text, intent), said) in enumerate(pairs)]

    asked = curate(
        rows,
        clusters=cluster([row.variable_text for row in rows]),
        seed=teacher.seed,
        progress=lambda *_: None,
        rules=Rules(second=Second(teacher.answers, Bounds(len(rows), 1.0), teacher)),
    )
    fates = asked.again.fates if asked.again else {}
    counts = Counter((teacher.wrong[int(n)] is not None, fate) for n, fate in fates.items())
    falsely = sum(row.put_right and teacher.errs_in(row) for row in asked.kept)
    without = [row for row in asked.kept if row.exchange_id not in fates]
    whole = [*without, *(rows[int(n)] for n in fates)]
    sets = (whole, without, asked.kept)
    false = tuple(sum(map(teacher.errs_in, some)) / len(some) for some in sets)
    return Heard(counts, falsely, tuple(map(len, sets)), false)


def again_lines(pairs: Sequence[Pair], *, seeds: int) -> Iterator[str]:
    """Of the table of what becomes of suspects: sums and means over seeds."""
    header = "rows|errors|errs|suspects: wrong, right|put right (falsely)|repeated: wrong, right|dropped: wrong, right"
    header += "|teach: with, without, asked about|of these wrong"
    yield f"| {header.replace('|', ' | ')} |"
    yield "|---" * (1 + header.count("|")) + "|"
    like = likeness(pairs)
    for size in SIZES:
        for kind in KINDS:
            others = {intent: like[intent][:ALIKE] if kind == "one alike" else like[intent] for intent in like}
            for errs, repeats in REPEATED.items():
                if kind == "none" and repeats:
                    continue
                found = []
                for seed in range(seeds):
                    taught = random.Random(seed).sample(pairs, size + TEST_ROWS)[:size]
                    wrong = injected(taught, kind=kind, like=like, seed=seed)
                    found.append(hear(Teacher(taught, wrong, others, repeats, seed)))
                yield _again_line((f"{size:,}", kind, errs), found)


def _again_line(names: Sequence[str], found: Sequence[Heard]) -> str:
    def count(fate: str) -> tuple[int, int]:
        wrong, right = (sum(each.fates.get((side, fate), 0) for each in found) for side in (True, False))
        return wrong, right

    of = {fate: count(fate) for fate in FATES}
    suspects = [sum(each[side] for each in of.values()) for side in (0, 1)]
    cells = (
        *names,
        f"{suspects[0]}, {suspects[1]}",
        f"{sum(of['put right'])} ({sum(each.falsely for each in found)})",
        f"{of['repeated'][0]}, {of['repeated'][1]}",
        f"{of['otherwise'][0]}, {of['otherwise'][1]}",
        ", ".join(f"{mean(each.teach[i] for each in found):,.0f}" for i in range(3)),
        ", ".join(f"{mean(each.false[i] for each in found):.2%}" for i in range(3)),
    )
    return f"| {' | '.join(cells)} |"


def _row(number: int, text: str, answer: str) -> TrainingRow:
    return TrainingRow(str(number), ({"role": "user", "content": text},), answer, "stop")


def _accuracy(rows: Sequence[TrainingRow], test: Sequence[Pair]) -> float:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    model = make_pipeline(make_union(words, letters), LinearSVC(random_state=0))
    model.fit([row.variable_text for row in rows], [row.completion for row in rows])
    return float(model.score([text for text, _ in test], [intent for _, intent in test]))


def injected(taught: Sequence[Pair], *, kind: str, like: dict[str, list[str]], seed: int) -> list[str | None]:
    """The wrong answer of each row that has one."""
    rng = random.Random(seed)
    others = {intent: like[intent][:ALIKE] if kind == "one alike" else like[intent] for intent in like}
    share = 0.0 if kind == "none" else INJECTED
    return [rng.choice(others[intent]) if rng.random() < share else None for _, intent in taught]


def likeness(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """The other intents of each, by the cosine similarity of their mean texts, most alike first."""
    texts = defaultdict(list)
    for text, intent in pairs:
        texts[intent].append(text)
    names = sorted(texts)
    vectors = TfidfVectorizer(sublinear_tf=True).fit([text for text, _ in pairs])
    means = np.vstack([np.asarray(vectors.transform(texts[name]).mean(axis=0)) for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    order = np.argsort(-(means @ means.T), axis=1)
    return {name: [names[i] for i in row if names[i] != name] for name, row in zip(names, order, strict=True)}


def lines(pairs: Sequence[Pair], *, seeds: int) -> Iterator[str]:
    """Of the table: mean over seeds, accuracies with the standard deviation of their differences."""
    header = (
        "rows|errors|looked at, labels|suspected|precision|recall|estimate|true|believed|all|left|right|left - all|s"
    )
    yield f"| {header.replace('|', ' | ')} |"
    yield "|---" * (1 + header.count("|")) + "|"
    like = likeness(pairs)
    cells = [(size, kind) for size in SIZES for kind in KINDS]
    for size, kind in track(cells, description="cells"):
        found = []
        for seed in range(seeds):
            shuffled = random.Random(seed).sample(pairs, size + TEST_ROWS)
            taught = shuffled[:size]
            wrong = injected(taught, kind=kind, like=like, seed=seed)
            found.append(measure(taught, wrong, test=shuffled[size:], seed=seed))
        yield _line(size, kind, found)


def _line(size: int, kind: str, found: Sequence[Found]) -> str:
    def share(name: str) -> str:
        values = [getattr(each, name) for each in found]
        return f"{mean(values):.1%}" if None not in values else ""

    accuracies = [f"{mean(each.accuracy[i] for each in found):.1%}" for i in range(3)]
    gains = [each.accuracy[1] - each.accuracy[0] for each in found]
    spread = f" ± {stdev(gains):.1%}" if len(gains) > 1 else ""
    cells = (
        f"{size:,}",
        kind,
        f"{mean(each.looked for each in found):,.0f}, {mean(each.labels for each in found):.0f}",
        *map(share, ("suspected", "precision", "recall", "estimate", "true")),
        f"{sum(each.believed for each in found)} of {len(found)}",
        *accuracies,
        f"{mean(gains):+.1%}{spread}",
        f"{mean(each.seconds for each in found):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.curation")
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data/banking77/train.csv"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="put the suspects to the teacher again")
    options = parser.parse_args()
    with options.data.open(newline="") as file:
        pairs = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    print("\n".join((again_lines if options.again else lines)(pairs, seeds=options.seeds)))


if __name__ == "__main__":
    main()
