"""Narrow jobs with known answers, from real data, and a teacher for them that errs as often as it is told."""

import csv
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.banking_log import SYSTEM
from calibration.agreement import Measure

Pair = tuple[str, str]  # a message and its true answer
INSTRUCTION = (
    f"{SYSTEM} The bank issues debit cards and accounts for private customers, and all of its service is in an app. "
    "A message is about one matter only. Where it seems to be about two, take the one that the customer wants to have "
    "settled. Take what is asked for, not the mood in which it is asked; complaints have no intent of their own. "
    "Answer with the name of the intent alone, in lower case, its words joined by underscores, without a full stop, "
    "without quotation marks, and without saying why."
)
EXTRACT = "Extract the attributes of the product that its title names, as JSON."


@dataclass(frozen=True)
class Job:
    """What is asked, in a sentence and in a paragraph (where somebody has written one), how answers are compared, how
    long one may be in tokens, and the pairs, shuffled. `wrong`: another answer than this one, as a teacher that errs
    may give it."""

    name: str
    system: str
    instruction: str | None
    measure: Measure
    max_tokens: int
    pairs: Sequence[Pair]
    wrong: Callable[[random.Random, str], str]

    def teacher_says(self, pair: Pair, *, errors: float, salt: object) -> str:
        """The true answer but for a share of `errors`, which are always the same ones for a `salt`."""
        text, truth = pair
        rng = random.Random(f"{salt} {text}")
        return truth if rng.random() >= errors else self.wrong(rng, truth)


def read(path: Path, *, seed: int = 0) -> Job:
    """Banking77's .csv: one of 77 intents is the answer. Or the .jsonl of product titles: JSON is."""
    job = _labels(path) if path.suffix == ".csv" else _products(path)
    return replace(job, pairs=random.Random(seed).sample(job.pairs, len(job.pairs)))


def _labels(path: Path) -> Job:
    with path.open(newline="") as file:
        pairs = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    labels = sorted({label for _, label in pairs})

    def another(rng: random.Random, truth: str) -> str:
        return rng.choice([label for label in labels if label != truth])

    return Job("banking77", SYSTEM, INSTRUCTION, "exact", 24, pairs, another)


def _products(path: Path) -> Job:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    pairs = [(f"{row['category']}: {row['input']}", _attributes(row["target_scores"])) for row in rows]
    return Job("products", EXTRACT, None, "json", 160, pairs, _one_missing)


def _attributes(scores: dict[str, dict[str, int]]) -> str:
    return json.dumps({name: next(iter(values)) for name, values in scores.items()}, ensure_ascii=False)


def _one_missing(rng: random.Random, truth: str) -> str:
    found = json.loads(truth)
    del found[rng.choice(sorted(found))]
    return json.dumps(found, ensure_ascii=False)
