"""Are rationales worth a second target? A student of answers alone beside one that is also taught how they were found.

    python -m bench.reasons ../shared/data/gsm8k/train.jsonl [--rows 128] [--seeds 1] [--patterns response reasoning]

Both learn from the same rows of GSM8K, from the same base model, in as many steps, and answer with the number alone.
The rationale is the data set's worked solution, without its calculator's marks. Compared on questions that neither has
seen: the right answers' loss, and greedy drafts by the measure `number`, by transformers and peft in torch: no engine
and no gateway takes part, and nothing is certified.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from peft import PeftModel
from rich.console import Console
from rich.table import Table

from bench.patterns import EPOCHS, Student
from calibration.agreement import disagreement
from distill.best import HeldOut
from distill.pattern import Pattern
from distill.render import readable
from distill.rows import TrainingRow
from distill.student import load_base, load_chat, silence
from distill.train import TrainConfig, TrainReport
from tutelage.provision import Home, ensure_demo_model

SYSTEM = "Solve the problem. Answer with the number alone."
MARKS = re.compile(r"<<[^<>]*>>")  # of a calculator, in the data set
PATTERNS: tuple[Pattern, ...] = ("response", "reasoning")
VALIDATED = 32  # rows that stop training in time
LONGEST_QUESTION, LONGEST_RATIONALE = 200, 250  # characters: a small machine has little time


@dataclass(frozen=True)
class Learned:
    """What a pattern has come to: the right answers' loss on unseen questions (nats a token), the share answered
    rightly, and the seconds of training and validation."""

    seed: int
    pattern: Pattern
    loss: float
    right: float
    trained: TrainReport
    seconds: float


def problems(path: Path) -> list[TrainingRow]:
    """The short ones of GSM8K, in order: the number as the answer, the worked solution as the rationale."""
    with path.open() as file:
        found = [_row(str(number), **json.loads(line)) for number, line in enumerate(file)]
    return [
        row
        for row in found
        if len(row.variable_text) <= LONGEST_QUESTION and len(row.rationale or "") <= LONGEST_RATIONALE
    ]


def _row(name: str, *, question: str, answer: str) -> TrainingRow:
    worked, _, number = answer.rpartition("####")
    said = {"system": SYSTEM, "user": question}
    messages = tuple({"role": role, "content": words} for role, words in said.items())
    return TrainingRow(name, messages, number.strip(), "stop", rationale=MARKS.sub("", worked).strip())


def learned(
    student: Student, pattern: Pattern, *, parts: Sequence[Sequence[TrainingRow]], config: TrainConfig
) -> Learned:
    """A student by one pattern. `parts`: rows that teach, that stop training in time, and that neither has seen."""
    teach, validation, test = parts
    began = time.monotonic()
    trained = student.learn(teach, validation, pattern=pattern)
    seconds = time.monotonic() - began
    chat = load_chat(config.base_model)
    with silence():
        model = PeftModel.from_pretrained(load_base(config.base_model), student.folder).eval()
        held = readable(chat, test, max_tokens=config.max_tokens).rendered
        loss = HeldOut(held, batch_size=config.batch_size).loss(model)
    drafts = student.drafts(test)
    right = [not disagreement(draft, row.completion, measure="number") for draft, row in zip(drafts, test, strict=True)]
    return Learned(config.seed, pattern, loss, sum(right) / len(right), trained, seconds)


def show(found: Sequence[Learned]) -> Table:
    """A row a student."""
    columns = "seed|pattern|rationales|loss of the answers, unseen|right|validation loss|steps|s"
    table = Table(*columns.split("|"))
    for each in found:
        reasoned = each.trained.reasoned.rationales if each.trained.reasoned else 0
        losses = " ".join(f"{loss:.4f}" for loss in each.trained.validation_losses)
        told = (f"{each.loss:.4f}", f"{each.right:.1%}", losses, each.trained.steps, f"{each.seconds:.0f}")
        table.add_row(*map(str, (each.seed, each.pattern, reasoned, *told)))
    return table


def main() -> None:
    """Run it and print the table after each student."""
    parser = argparse.ArgumentParser(prog="python -m bench.reasons")
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--patterns", nargs="+", choices=PATTERNS, default=PATTERNS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    console, found = Console(width=160), list[Learned]()
    base, known = ensure_demo_model(Home.from_environment(), say=console.print), problems(options.data)
    console.print(f"{len(known)} short problems")
    for seed in range(options.seeds):
        drawn = random.Random(seed).sample(known, options.rows + VALIDATED + options.test)
        parts = (drawn[: options.rows], drawn[options.rows : -options.test], drawn[-options.test :])
        config = TrainConfig(str(base), epochs=options.epochs, seed=seed)
        for pattern in options.patterns:
            with tempfile.TemporaryDirectory() as scratch:
                student = Student(config, Path(scratch) / pattern, console)
                found.append(learned(student, pattern, parts=parts, config=config))
            console.print(show(found))
            if options.out:
                options.out.write_text(json.dumps([asdict(each) for each in found], indent=1))


if __name__ == "__main__":
    main()
