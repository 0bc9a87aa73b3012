"""Our training beside a plain TRL SFTTrainer: rows a second and memory, on a CPU, on the same rows.

    python -m bench.sft ../shared/data/banking77/train.csv [--rows N] [--epochs 1] [--repeats 2] [--out sft.jsonl]

Every run is a process of its own, one after the other, the ways of training in turn, so that what else the machine does
meets them alike. All learn from the same token ids (Banking77 by `distill.render`, with a short instruction, a long
one, and one that names all labels), in batches of 8, with the same LoRA, learning rate and number of epochs, in
float32, without validation. `whole`: ours, but each row is read from its first token on. `plain`: SFTTrainer with its
own collator and loss. `checkpoints`: the same, with gradients from checkpoints, as TRL has them unless it is told
otherwise. Seconds of the clock depend on who else computes; those of the processor hardly do.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from bench.banking_log import SYSTEM
from bench.jobs import INSTRUCTION, read
from distill import student
from distill import train as training
from distill.render import Rendered, render
from distill.rows import TrainingRow
from distill.student import load_base, load_chat, silence
from distill.train import TrainConfig, train
from tutelage.provision import Home, ensure_demo_model

WAYS = ("ours", "whole", "plain", "checkpoints")
PROMPTS = {"short": 160, "long": 48, "labels": 16}  # of so many rows, unless told otherwise
MAX_TOKENS = 1024


@dataclass(frozen=True)
class Trained:
    """One run: seconds of training without loading, `cpu_s` of the processor with it, the most memory that its process
    held, and the mean loss (nats per completion token); `tokens` of a row in the mean, `load`: of the machine as it
    began, in processes."""

    way: str
    prompt: str
    rows: int
    epochs: int
    tokens: float
    seconds: float
    cpu_s: float
    peak_mib: float
    loss: float
    load: float

    @property
    def rows_per_second(self) -> float:
        """All epochs counted."""
        return self.rows * self.epochs / self.seconds


def rows(data: Path, count: int, *, prompt: str) -> list[TrainingRow]:
    """The label as the answer."""
    pairs = read(data).pairs
    labels = ", ".join(sorted({label for _, label in pairs}))
    system = {"short": SYSTEM, "long": INSTRUCTION, "labels": f"{INSTRUCTION} The intents are {labels}."}[prompt]
    found = enumerate(pairs[:count])
    return [TrainingRow(str(number), _asked(system, text), label, "stop") for number, (text, label) in found]


def _asked(system: str, text: str) -> tuple[dict[str, str], ...]:
    return ({"role": "system", "content": system}, {"role": "user", "content": text})


def train_once(way: str, taught: Sequence[TrainingRow], *, prompt: str, config: TrainConfig) -> Trained:
    """In this process, which should have done nothing else."""
    load, chat = os.getloadavg()[0], load_chat(config.base_model)
    rendered = [render(chat, row) for row in taught]
    began = time.process_time()
    with TemporaryDirectory() as folder:
        if way in ("ours", "whole"):
            if way == "whole":
                student.can_share = training.can_share = lambda _: False
            report = train(taught, (), config=config, out=Path(folder) / "adapter", progress=lambda _: None)
            seconds, loss = report.seconds, report.train_loss
        else:
            seconds, loss = _plain(rendered, config=config, folder=folder, checkpoints=way == "checkpoints")
    return Trained(
        way=way,
        prompt=prompt,
        rows=len(taught),
        epochs=config.epochs,
        tokens=mean(len(row.input_ids) for row in rendered),
        seconds=seconds,
        cpu_s=time.process_time() - began,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        loss=loss,
        load=load,
    )


def _plain(rendered: Sequence[Rendered], *, config: TrainConfig, folder: str, checkpoints: bool) -> tuple[float, float]:
    """What TRL's documentation shows, on rows that are tokens already."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    with silence():
        trainer = SFTTrainer(
            model=load_base(config.base_model),
            args=SFTConfig(
                max_length=MAX_TOKENS,
                output_dir=folder,
                num_train_epochs=config.epochs,
                per_device_train_batch_size=config.batch_size,
                learning_rate=config.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=0.05,
                seed=config.seed,
                completion_only_loss=True,  # of rows that are tokens already TRL would teach the prompts too
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                bf16=False,
                gradient_checkpointing=checkpoints,
            ),
            train_dataset=Dataset.from_list([vars(row) for row in rendered]),
            processing_class=load_chat(config.base_model).tokenizer,
            peft_config=LoraConfig(
                r=config.rank, lora_alpha=config.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )
        started = time.monotonic()
        loss = trainer.train().training_loss
    return time.monotonic() - started, float(loss)


def table(found: Sequence[Trained]) -> Iterator[str]:
    """Medians, in Markdown; `beside plain`: of the ratios to the plain run of the same turn, their range behind."""
    yield "| prompt | tokens a row | training | runs | rows a second | beside plain | CPU s | peak MiB | loss |"
    yield "|---|--:|---|--:|--:|--:|--:|--:|--:|"
    for prompt in PROMPTS:
        of_prompt = [each for each in found if each.prompt == prompt]
        plain = [each.rows_per_second for each in of_prompt if each.way == "plain"]
        for way in WAYS:
            mine = [each for each in of_prompt if each.way == way]
            if not mine:
                continue
            ratios = [each.rows_per_second / other for each, other in zip(mine, plain, strict=False)]
            names = ("rows_per_second", "cpu_s", "peak_mib", "loss")
            pace, cpu_s, peak, loss = (median(getattr(each, name) for each in mine) for name in names)
            beside = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""
            told = f"{pace:.2f} | {beside} | {cpu_s:.0f} | {peak:,.0f} | {loss:.4f}"
            yield f"| {prompt} | {mine[0].tokens:.0f} | {way} | {len(mine)} | {told} |"


def main() -> None:
    """Run them in turn and print the table; a process that is told of one way does that one."""
    parser = argparse.ArgumentParser(prog="python -m bench.sft")
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--prompts", nargs="+", choices=PROMPTS, default=list(PROMPTS))
    parser.add_argument("--out", type=Path, default=Path("sft.jsonl"))
    parser.add_argument("--one", nargs=2, metavar=("WAY", "PROMPT"), help="train here, and print what it took")
    options = parser.parse_args()
    base = ensure_demo_model(Home.from_environment(), say=lambda words: print(words, file=sys.stderr))
    if options.one:
        way, prompt = options.one
        taught = rows(options.data, options.rows or PROMPTS[prompt], prompt=prompt)
        one = train_once(
            way, taught, prompt=prompt, config=TrainConfig(str(base), epochs=options.epochs, max_tokens=MAX_TOKENS)
        )
        print(json.dumps(asdict(one)))
        return
    for _ in range(options.repeats):
        for prompt in options.prompts:
            for way in options.ways:
                with options.out.open("a") as file:
                    file.write(_apart(way, prompt) + "\n")
    print("\n".join(table([Trained(**json.loads(line)) for line in options.out.read_text().splitlines()])))


def _apart(way: str, prompt: str) -> str:
    """The run's line, of a process of its own that reports to nobody."""
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "bench.sft", *sys.argv[1:], "--one", way, prompt]
    done = subprocess.run(command, env={**os.environ, **quiet}, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    main()
