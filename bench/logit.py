"""Are a teacher's probabilities worth learning? A student of its answers beside one of its log-probabilities too.

    python -m bench.logit ../shared/data/banking77/train.csv [--rows 100] [--weights 0.5] [--top 5] [--seeds 1]

For each seed a teacher, the same base model with a LoRA of its own, learns from many labelled rows. It answers N other
messages greedily, with the log-probabilities of its tokens and of `top` alternatives. From these answers, their texts
and numbers as the ledger would hold them, students learn: by `response`, and by `logit` with each weight of the
divergence. Agreement is with the teacher's own greedy answers to messages that no student has seen. All in torch: no
engine and no gateway takes part, and nothing is certified.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from peft import PeftModel
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from bench.patterns import Student, agreeing, drawn
from distill import logit
from distill.align import Aligned, Vocabulary, align
from distill.pattern import choose
from distill.render import render
from distill.rows import TrainingRow
from distill.student import collate, completion_labels, completion_logits, load_base, load_chat, silence
from distill.train import TrainConfig, train
from ledger.records import Place
from ledger.token_logprobs import DIGITS, packed, piece
from tutelage.provision import Home, ensure_demo_model

VALIDATED = 24  # rows that stop training in time
EPOCHS = 3
RESPONSE = 0.0  # the weight of a student of answers alone


@dataclass(frozen=True)
class Compared:
    """One student beside that of answers alone: its agreement with the teacher, on how many messages only one of the
    two agrees, its best validation loss (cross entropy, nats), and seconds of training."""

    seed: int
    weight: float
    agrees: float
    only_response: int
    only_this: int
    validation_loss: float
    seconds: float

    @property
    def p_value(self) -> float:
        """Of two students that agree equally often (McNemar, exact, two-sided)."""
        either = self.only_response + self.only_this
        return float(binomtest(self.only_this, either).pvalue) if either else 1.0


def told_by(teacher: Student, rows: Sequence[TrainingRow], *, top: int) -> Iterator[tuple[str, list[Place]]]:
    """What it says of the tokens of its own answers, as it would be recorded."""
    chat = load_chat(teacher.config.base_model)
    bytes_of = Vocabulary(chat.tokenizer).bytes_of
    with silence(), torch.inference_mode():
        base = load_base(teacher.config.base_model)
        model = PeftModel.from_pretrained(base, teacher.folder).merge_and_unload().eval()
        for row in rows:
            batch = collate([render(chat, row)])
            logprobs = completion_logits(model, batch).log_softmax(dim=1)
            best = logprobs.topk(top, dim=1).indices.tolist()
            yield (
                row.exchange_id,
                [
                    [
                        (piece(bytes_of[number]), round(float(at[number]), DIGITS))
                        for number in dict.fromkeys([label, *others])
                    ]
                    for label, others, at in zip(completion_labels(batch).tolist(), best, logprobs, strict=True)
                ],
            )


def compare(options: argparse.Namespace, *, seed: int, base: Path, console: Console) -> Iterator[Compared]:
    """One seed: a teacher, and a student of each kind."""
    rng, counts = random.Random(seed), (options.teacher_rows, options.rows, VALIDATED, options.test)
    rows = iter(drawn(options.data, sum(counts) + VALIDATED, intents=options.intents, rng=rng))
    labelled, *asked, stops = (list(islice(rows, count)) for count in (*counts, VALIDATED))
    config = TrainConfig(str(base), epochs=EPOCHS, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        teacher = Student(config, Path(scratch) / "teacher", console)
        teacher.learn(labelled, stops, pattern="response")
        right = agreeing(asked[2], teacher.drafts(asked[2]))
        console.print(f"teacher: {sum(right) / len(right):.1%} of {len(right)} as labelled")
        taught, validation, test = ([*_answered(teacher, part)] for part in asked)
        places = dict(told_by(teacher, taught, top=options.top))
        told = align(load_chat(config.base_model), taught, places.items())
        size = sum(len(packed(each) or "") for each in places.values()) / len(places)
        console.print(f"{told.words}; {size:.0f} bytes a row, {_tokens(places) / len(places):.1f} tokens")
        before: list[bool] = []
        for weight in (RESPONSE, *options.weights):
            student = Student(config, Path(scratch) / f"weight {weight:g}", console)
            loss, seconds = _learn(student, taught, validation, told=told, weight=weight)
            agrees = agreeing(test, student.drafts(test))
            both = list(zip(before or agrees, agrees, strict=True))
            before = before or agrees
            only = both.count((True, False)), both.count((False, True))
            yield Compared(seed, weight, sum(agrees) / len(test), *only, loss, seconds)


def _answered(teacher: Student, rows: Sequence[TrainingRow]) -> Iterator[TrainingRow]:
    for row, text in zip(rows, teacher.drafts(rows), strict=True):
        yield replace(row, completion=text)


def _tokens(places: dict[str, list[Place]]) -> int:
    return sum(map(len, places.values()))


def _learn(
    student: Student, rows: Sequence[TrainingRow], validation: Sequence[TrainingRow], *, told: Aligned, weight: float
) -> tuple[float, float]:
    logit.WEIGHT = weight
    chosen = choose("logit" if weight else "response", rows, by="exact", told=told)
    student.console.print(f"{student.folder.name}: {chosen.pattern}: {chosen.because}")
    began = time.monotonic()
    taught = told.given(rows) if chosen.pattern == "logit" else rows
    report = train(taught, validation, config=student.config, out=student.folder, progress=student.show)
    return min(report.validation_losses), time.monotonic() - began


def show(found: Sequence[Compared]) -> Table:
    """A row a student."""
    columns = "seed|weight|agrees|only response|only this|p|validation loss|seconds"
    table = Table(*columns.split("|"))
    for each in found:
        only, loss = (each.only_response, each.only_this), f"{each.validation_loss:.4f}"
        told = (f"{each.agrees:.1%}", *only, f"{each.p_value:.2f}", loss, f"{each.seconds:.0f}")
        table.add_row(*map(str, (each.seed, each.weight or "response", *told)))
    return table


def main() -> None:
    """Run it and print the table after each student."""
    parser = argparse.ArgumentParser(prog="python -m bench.logit")
    parser.add_argument("data", type=Path)
    parser.add_argument("--teacher-rows", type=int, default=300)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--intents", type=int, default=20)
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.5])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    console, found = Console(width=160), list[Compared]()
    base = ensure_demo_model(Home.from_environment(), say=console.print)
    for seed in range(options.seeds):
        for each in compare(options, seed=seed, base=base, console=console):
            found.append(each)
            console.print(show(found))
            if options.out:
                options.out.write_text(json.dumps([asdict(one) for one in found], indent=1))


if __name__ == "__main__":
    main()
