"""Banking77 as a log that `tutelage replay` and `tutelage import` read: its labels are the teacher's answers.

python -m bench.banking_log ../shared/data/banking77/train.csv banking77.jsonl [--rows 6000]
"""

import argparse
import csv
import json
import random
from pathlib import Path

BEGUN, EVERY_S = 1_760_000_000, 60.0
SYSTEM = "Name the intent of the bank customer's message."


def lines(pairs: list[tuple[str, str]], *, seed: int = 0) -> list[str]:
    """A request a minute, in random order: the file is sorted by intent."""
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    return [_line(text, label, at=BEGUN + EVERY_S * number) for number, (text, label) in enumerate(shuffled)]


def _line(text: str, label: str, *, at: float) -> str:
    said = {"system": SYSTEM, "user": text, "assistant": label}
    messages = [{"role": role, "content": content} for role, content in said.items()]
    return json.dumps({"messages": messages, "model": "banking77-labels", "created": at})


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m bench.banking_log")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=6000)
    options = parser.parse_args()
    with options.data.open(newline="") as file:
        pairs = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    options.out.write_text("\n".join(lines(pairs)[: options.rows]) + "\n")


if __name__ == "__main__":
    main()
