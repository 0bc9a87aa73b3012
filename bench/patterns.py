"""Are pairs worth a second lesson? A student of answers alone beside one that has also seen its predecessor's mistakes.

    python -m bench.patterns ../shared/data/banking77/train.csv [--rows 200] [--intents 77] [--seeds 1]

For each seed a first student learns from N rows and drafts the next N; where a draft is not the label there is a pair.
Then two students learn from all 2N rows and the same base model: by `response`, and by `preference` with the pairs.
Labels are the teacher's answers. Drafts are greedy, by transformers and peft in torch: no engine and no gateway takes
part, and nothing is certified.
"""

import argparse
import csv
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from peft import PeftModel
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from bench.banking_log import SYSTEM
from calibration.agreement import disagreement
from distill.best import TrainProgress
from distill.pattern import Pattern, choose
from distill.render import render_prompt
from distill.rows import TrainingRow
from distill.student import load_base, load_chat, silence
from distill.train import TrainConfig, TrainReport, train
from tutelage.provision import Home, ensure_demo_model

VALIDATED = 60  # rows that stop training in time
DRAFT_TOKENS, AT_ONCE = 24, 25
EPOCHS = 3


@dataclass(frozen=True)
class Compared:
    """One seed: agreement of the `first` student on what it drafted, of the others on the same unseen messages, and on
    how many of these only one agrees."""

    seed: int
    first: float
    response: float
    preference: float
    only_response: int
    only_preference: int
    trained: TrainReport

    @property
    def p_value(self) -> float:
        """Of two students that agree equally often (McNemar, exact, two-sided)."""
        either = self.only_response + self.only_preference
        return float(binomtest(self.only_preference, either).pvalue) if either else 1.0


@dataclass(frozen=True)
class Student:
    """A base model that has learned, or not yet."""

    config: TrainConfig
    folder: Path
    console: Console

    def learn(self, rows: Sequence[TrainingRow], validation: Sequence[TrainingRow], *, pattern: Pattern) -> TrainReport:
        """By one of the patterns."""
        chosen = choose(pattern, rows, by="exact")
        self.console.print(f"{self.folder.name}: {len(rows)} rows, {chosen.pattern}: {chosen.because}")
        found = chosen.pairs
        taught = rows if chosen.pattern == "reasoning" else [replace(row, rationale=None) for row in rows]
        return train(taught, validation, config=self.config, out=self.folder, progress=self.show, pairs=found)

    def drafts(self, rows: Sequence[TrainingRow]) -> list[str]:
        """Greedy answers."""
        chat = load_chat(self.config.base_model)
        prompts = [render_prompt(chat, row.messages) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: len(prompts[i]))
        found = {}
        with silence(), torch.inference_mode():
            model = PeftModel.from_pretrained(load_base(self.config.base_model), self.folder).merge_and_unload().eval()
            for start in range(0, len(order), AT_ONCE):
                part = order[start : start + AT_ONCE]
                padded = chat.tokenizer.pad(
                    {"input_ids": [prompts[i] for i in part]}, padding_side="left", return_tensors="pt"
                )
                made = model.generate(**padded.to(model.device), do_sample=False, max_new_tokens=DRAFT_TOKENS)
                texts = chat.tokenizer.batch_decode(made[:, padded["input_ids"].shape[1] :], skip_special_tokens=True)
                found.update(zip(part, texts, strict=True))
        return [found[i] for i in range(len(rows))]

    def show(self, at: TrainProgress) -> None:
        """Tell how far it is."""
        if at.step % 25 == 0 or at.step == at.steps:
            self.console.print(
                f"{self.folder.name}: {at.of} {at.step}/{at.steps}, {at.loss:.3f}, {at.eta_s:.0f} s left"
            )


def drawn(path: Path, count: int, *, intents: int, rng: random.Random) -> list[TrainingRow]:
    """So many rows of Banking77, of so many intents, the label as the answer."""
    with path.open(newline="") as file:
        found = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    kept = rng.sample(sorted({label for _, label in found}), intents)
    pairs = rng.sample([pair for pair in found if pair[1] in kept], count)
    return [_row(str(number), *pair) for number, pair in enumerate(pairs)]


def _row(name: str, text: str, label: str) -> TrainingRow:
    said = {"system": SYSTEM, "user": text}
    return TrainingRow(name, tuple({"role": role, "content": words} for role, words in said.items()), label, "stop")


def agreeing(rows: Sequence[TrainingRow], drafts: Sequence[str]) -> list[bool]:
    """Whether each draft is the label."""
    return [not disagreement(draft, row.completion) for row, draft in zip(rows, drafts, strict=True)]


def compare(options: argparse.Namespace, *, seed: int, base: Path, console: Console) -> Compared:
    """One seed: three students."""
    rng, count = random.Random(seed), options.rows
    rows = iter(drawn(options.data, 2 * count + VALIDATED + options.test, intents=options.intents, rng=rng))
    older, newer, validation, test = (list(islice(rows, n)) for n in (count, count, VALIDATED, options.test))
    config = TrainConfig(str(base), epochs=EPOCHS, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        first, response, preference = (
            Student(config, Path(scratch) / name, console) for name in ("first", "response", "preference")
        )
        first.learn(older, validation, pattern="response")
        drafted = [replace(row, draft=text) for row, text in zip(newer, first.drafts(newer), strict=True)]
        response.learn([*older, *drafted], validation, pattern="response")
        trained = preference.learn([*older, *drafted], validation, pattern="preference")
        ours, theirs = (agreeing(test, student.drafts(test)) for student in (response, preference))
    both = list(zip(ours, theirs, strict=True))
    return Compared(
        seed=seed,
        first=sum(agreeing(drafted, [str(row.draft) for row in drafted])) / count,
        response=sum(ours) / len(test),
        preference=sum(theirs) / len(test),
        only_response=both.count((True, False)),
        only_preference=both.count((False, True)),
        trained=trained,
    )


def show(found: Sequence[Compared]) -> Table:
    """A row a seed."""
    columns = "seed|pairs|first|response|preference|only response|only preference|p|validation loss|s for pairs|kept"
    table = Table(*columns.split("|"))
    for each in found:
        lesson = each.trained.preferred
        assert lesson is not None, "there were pairs"
        before, after = min(each.trained.validation_losses), min(lesson.validation_losses)
        shares = [f"{share:.1%}" for share in (each.first, each.response, each.preference)]
        counts = (each.only_response, each.only_preference)
        told = (*shares, *counts, f"{each.p_value:.2f}", f"{before:.4f}, {after:.4f}", f"{lesson.seconds:.0f}")
        table.add_row(*map(str, (each.seed, lesson.pairs, *told, lesson.kept)))
    return table


def main() -> None:
    """Run it and print the table after each seed."""
    parser = argparse.ArgumentParser(prog="python -m bench.patterns")
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--intents", type=int, default=77)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    console, found = Console(width=160), list[Compared]()
    base = ensure_demo_model(Home.from_environment(), say=console.print)
    for seed in range(options.seeds):
        found.append(compare(options, seed=seed, base=base, console=console))
        console.print(show(found))
        if options.out:
            options.out.write_text(json.dumps([asdict(each) for each in found], indent=1))


if __name__ == "__main__":
    main()
