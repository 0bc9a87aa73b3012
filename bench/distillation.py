"""How good a student becomes, by how many rows teach it and by what is done with them: real vLLM, a teacher that is
right in 93 of 100 answers, and Banking77's intents or the attributes of products as JSON.

    python -m bench.distillation ../shared/data/banking77/train.csv [--rows 250 500 1000 2000 4000] [--seeds 3]
        [--lessons plain noisy curated instructed compact warm hard replay] [--test 500] [--out banking77.jsonl]
    python -m bench.distillation ../shared/data/product_extraction/oa_mine_train.jsonl --rows 250 1000 --test 200
        --lessons plain

A student of each number of rows, seed and lesson is trained, loaded and asked the same messages, which teach none of
them, through the gateway. Every result is written at once to `--out`; what is there already is not done again, so that
the hours it takes can be spent in parts. Lessons: `plain`, as the product would teach the teacher's answers; `noisy`
and `curated`: one further answer in ten is wrong, without curation and with it; `instructed` and `compact`: a
longer instruction, which the student reads, or nothing in its place. In the others a first student has learned from
the first half of the rows. `warm`: training goes on from it, on all of them. `hard`: it has answered what it was surest
of, half of the second half, and of that the teacher was asked about one in ten; `replay`: these count four times.
"""

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from rich.console import Console

from bench.jobs import Job, Pair, read
from calibration.agreement import Measure, disagreement, fields
from distill.candidate import Candidate
from distill.clusters import cluster
from distill.curate import Rules, by_reason, curate
from distill.lessons import GoesOn, Lessons
from distill.plan import RunConfig
from distill.rows import TrainingRow
from distill.run import candidate
from ledger.prices import Price
from ledger.records import Draft
from router.settings import Settings, load
from tutelage.distilling import run_config
from tutelage.progress import RunProgress
from tutelage.provision import Home, ensure_demo_model, ensure_vllm
from tutelage.replay.workshop import TASK, Workshop, apart

TEACHER_ERRORS, INJECTED = 0.07, 0.10
VALIDATE = 0.08  # of the rows, as `distill.validation_share`
LESSONS = ("plain", "noisy", "curated", "instructed", "compact", "warm", "hard", "replay")
NOISY, INSTRUCTED = ("noisy", "curated"), ("instructed", "compact")
REFERENCES, EASY_WEIGHT = 0.1, 4.0  # in `hard` and `replay`
COMPACT = "compact"  # the task whose student does not read its instruction


@dataclass(frozen=True)
class Cell:
    """One student."""

    lesson: str
    rows: int
    seed: int


@dataclass(frozen=True)
class Found:
    """What one came to. Shares of the `tested` messages: `agreement` with the teacher's answer, `accuracy` by the
    truth, `copied`: of the teacher's wrong answers, those that the student gives too. `prompt_tokens`: of a message, in
    the mean; 0 in results of before. `fields`: of answers in JSON, which agree as a whole or not at all, how far their
    fields do (F1 of names with their values, of all messages together); None for others, and in results of before.
    """

    lesson: str
    rows: int
    seed: int
    taught: int
    rejected: dict[str, int]
    agreement: float
    accuracy: float
    copied: float
    train_s: float
    draft_s: float
    prompt_tokens: float = 0.0
    tested: int = 500
    fields: float | None = None


@dataclass(frozen=True)
class Bench:
    """Everything runs. Of the job's pairs `train` may teach and `test` do not. `compact`: of the task with such a
    prompt."""

    config: RunConfig
    compact: RunConfig
    job: Job
    train: Sequence[Pair]
    test: Sequence[Pair]
    progress: RunProgress

    def run(self, cell: Cell) -> Found:
        """Make one student and ask it."""
        config = self.compact if cell.lesson == "compact" else self.config
        config = replace(config, train=replace(config.train, seed=cell.seed))
        made = candidate(config, f"bench-{cell.lesson}-{cell.rows}-{cell.seed}", progress=self.progress)
        shutil.rmtree(made.path, ignore_errors=True)  # of a measurement that was ended half-way
        lessons, rejected = self._lessons(cell)
        began = time.monotonic()
        made.train(lessons)
        train_s = time.monotonic() - began
        made.load([row.messages for row in lessons.train[:8]])
        began = time.monotonic()
        drafts = made.drafts([{"messages": self._messages(text, cell), "stream": False} for text, _ in self.test])
        draft_s = time.monotonic() - began
        made.unload()
        return Found(
            **asdict(cell),
            taught=len(lessons.train),
            rejected=rejected,
            **self._judged(drafts),
            train_s=train_s,
            draft_s=draft_s,
            tested=len(drafts),
            prompt_tokens=mean(draft.usage.prompt_tokens for draft in drafts if draft),
        )

    def _lessons(self, cell: Cell) -> tuple[Lessons, dict[str, int]]:
        pairs = random.Random(cell.seed).sample(self.train, cell.rows)
        rows = [self._row(number, pair, cell) for number, pair in enumerate(pairs)]
        if cell.lesson in ("hard", "replay"):
            rows = self._heard(rows, cell)
        held = max(1, round(VALIDATE * len(rows)))
        validate, teach = rows[:held], rows[held:]
        if cell.lesson == "noisy":
            return Lessons(tuple(teach), tuple(validate), ()), {}
        clusters = cluster([row.variable_text for row in rows])
        rules = Rules(by=self.job.measure)
        found = curate(rows, clusters=clusters, seed=cell.seed, progress=self.progress.advance, rules=rules)
        held_out = {row.exchange_id for row in validate}
        kept = {
            held: tuple(row for row in found.kept if (row.exchange_id in held_out) is held) for held in (True, False)
        }
        lessons = Lessons(kept[False], kept[True], ())
        if cell.lesson == "warm":
            first = self._first(rows[: len(rows) // 2], cell)
            lessons = replace(lessons, goes_on=GoesOn(first.name, first.path, frozenset()))
        return lessons, by_reason(found.rejected)

    def _first(self, rows: Sequence[TrainingRow], cell: Cell) -> Candidate:
        """The student that has learned from these, made once."""
        config = replace(self.config, train=replace(self.config.train, seed=cell.seed))
        made = candidate(config, f"bench-first-{cell.rows}-{cell.seed}", progress=self.progress)
        if not made.path.exists():
            held = max(1, round(VALIDATE * len(rows)))
            made.train(Lessons(tuple(rows[held:]), tuple(rows[:held]), ()))
        return made

    def _heard(self, rows: Sequence[TrainingRow], cell: Cell) -> list[TrainingRow]:
        """Of the second half what the teacher is asked about where the first student answers what it is surest of."""
        older, newer = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        first, rng = self._first(older, cell), random.Random(cell.seed)
        first.load([row.messages for row in older[:8]])
        drafts = first.drafts([{"messages": row.messages, "stream": False} for row in newer])
        first.unload()
        order = sorted(range(len(newer)), key=lambda i: _surety(drafts[i]), reverse=True)
        answered = set(order[: len(newer) // 2])
        asked = {i for i in sorted(answered) if rng.random() < REFERENCES}
        weight = min(EASY_WEIGHT, 1.0 / REFERENCES) if cell.lesson == "replay" else 1.0
        easy = [replace(newer[i], weight=weight) for i in sorted(asked)]
        return [*older, *(row for i, row in enumerate(newer) if i not in answered), *easy]

    def _row(self, number: int, pair: Pair, cell: Cell) -> TrainingRow:
        text, _ = pair
        said = self.job.teacher_says(pair, errors=TEACHER_ERRORS, salt="teacher")
        if cell.lesson in NOISY:
            said = self.job.teacher_says((text, said), errors=INJECTED, salt=f"injected {cell.seed}")
        return TrainingRow(str(number), tuple(self._messages(text, cell)), said, "stop")

    def _messages(self, text: str, cell: Cell) -> list[dict[str, str]]:
        system = (cell.lesson in INSTRUCTED and self.job.instruction) or self.job.system
        return [{"role": "system", "content": system}, {"role": "user", "content": text}]

    def _judged(self, drafts: Sequence[Draft | None]) -> dict[str, Any]:
        told = [self.job.teacher_says(pair, errors=TEACHER_ERRORS, salt="teacher") for pair in self.test]
        texts, measure = [draft.text if draft else None for draft in drafts], self.job.measure
        wrong = [(text, said) for text, said, (_, truth) in zip(texts, told, self.test, strict=True) if said != truth]
        return {
            "agreement": _share(list(zip(texts, told, strict=True)), measure),
            "accuracy": _share([(text, truth) for text, (_, truth) in zip(texts, self.test, strict=True)], measure),
            "copied": _share(wrong, measure),
            "fields": _fields_agree(list(zip(texts, told, strict=True))) if measure == "json" else None,
        }


def _surety(draft: Draft | None) -> float:
    return draft.evidence["sum_logprob"] if draft and draft.evidence else -math.inf


def _share(pairs: Sequence[tuple[str | None, str]], measure: Measure) -> float:
    return 1.0 - mean([disagreement(text, other, measure=measure) for text, other in pairs]) if pairs else 0.0


def _fields_agree(pairs: Sequence[tuple[str | None, str]]) -> float | None:
    """F1 of the fields of the first against those of the second, compared as the measure compares them; what is no JSON
    object has none. None where nothing has any."""
    sides = [(_fields(text), _fields(other)) for text, other in pairs]
    known = sum(len(mine) + len(theirs) for mine, theirs in sides)
    return 2 * sum(len(mine & theirs) for mine, theirs in sides) / known if known else None


def _fields(text: str | None) -> set[Hashable]:
    match fields(text or ""):
        case ("object", tuple(found)):
            return set(found)
    return set()


def table(found: Sequence[Found]) -> Iterator[str]:
    """Means over the seeds with their standard errors, in Markdown."""
    yield (
        "| lesson | rows | taught | seeds | agreement | accuracy | teacher's errors copied | fields | rows a second "
        "| tokens a prompt | drafts a second |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for lesson, rows in sorted({(each.lesson, each.rows) for each in found}, key=lambda key: (key[1], key[0])):
        mine = [each for each in found if (each.lesson, each.rows) == (lesson, rows)]
        names = ("agreement", "accuracy", "copied", "fields")
        shares = [_percent([value for each in mine if (value := getattr(each, name)) is not None]) for name in names]
        taught, pace = mean(each.taught for each in mine), mean(each.taught / each.train_s for each in mine)
        tokens, drafted = mean(each.prompt_tokens for each in mine), mean(each.tested / each.draft_s for each in mine)
        yield (
            f"| {lesson} | {rows:,} | {taught:,.0f} | {len(mine)} | {' | '.join(shares)} | {pace:.1f} "
            f"| {tokens:.0f} | {drafted:.1f} |"
        )


def _percent(values: Sequence[float]) -> str:
    if not values:
        return ""
    error = f" +- {100 * stdev(values) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{error} %"


def main() -> None:
    """Do what is not done yet, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.distillation")
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[250, 500, 1000, 2000, 4000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lessons", nargs="+", choices=LESSONS, default=list(LESSONS))
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    job, console, home = read(options.data), Console(), Home.from_environment()
    if job.instruction is None and (asked := set(INSTRUCTED) & set(options.lessons)):
        parser.error(f"nobody has written a longer instruction for {job.name}: leave out {', '.join(sorted(asked))}")
    options.out = options.out or Path(f"{job.name}.jsonl")
    done = [Found(**json.loads(line)) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    wanted = [Cell(*each) for each in product(options.lessons, options.rows, range(options.seeds))]
    known = {Cell(each.lesson, each.rows, each.seed) for each in done}
    ensure_vllm(home, say=console.print)
    ensure_demo_model(home, say=console.print)
    left = [cell for cell in wanted if cell not in known]
    with (
        TemporaryDirectory() as folder,
        RunProgress(console) as told,
        running(job, Path(folder), tested=options.test, home=home, progress=told) as bench,
    ):
        for cell in left:
            done.append(found := bench.run(cell))
            with options.out.open("a") as file:
                file.write(json.dumps(asdict(found)) + "\n")
            told.step(f"{cell}: agreement {found.agreement:.1%}, accuracy {found.accuracy:.1%}")
    print("\n".join(table(done)))


@contextmanager
def running(job: Job, folder: Path, *, tested: int, home: Home, progress: RunProgress) -> Iterator[Bench]:
    """vLLM and the gateway, and what is asked of them."""
    free, base = Price(0.0, 0.0), str(home.demo_model)
    workshop = Workshop(folder, "labels", "the data set's licence", free, free, base, job.measure)
    settings = _with_compact(
        workshop, workshop.configure(max_tokens=job.max_tokens), instruction=job.instruction or job.system
    )
    bench = Bench(
        config=run_config(settings, TASK),
        compact=run_config(settings, COMPACT),
        job=job,
        train=job.pairs[tested:],
        test=job.pairs[:tested],
        progress=progress,
    )
    with workshop.running(settings, home, console=progress.console):
        yield bench


def _with_compact(workshop: Workshop, settings: Settings, *, instruction: str) -> Settings:
    """The same with a second task, like the first but for its prompt."""
    task = settings.tasks[TASK].model_copy(update={"system_prompt": instruction, "student_prompt": "compact"})
    values = yaml.safe_load(workshop.config.read_text())
    values["tasks"][COMPACT] = task.model_dump(exclude_defaults=True)
    workshop.config.write_text(yaml.safe_dump(values, sort_keys=False))
    with apart():
        return load(workshop.config)


if __name__ == "__main__":
    main()
