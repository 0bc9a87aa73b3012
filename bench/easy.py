"""A task that a small student learns from little: four labels, each named in its message.

For measurements and tests of how the parts work together, where the student need not be clever.
"""

import csv
import random
from collections.abc import Mapping
from pathlib import Path

LABELS = ("refund", "delivery", "invoice", "password")
WORDS = """
the a my your our please could would again order parcel shop letter after before today morning week friend box
kind still never always about under over between colour wood stone river street garden table window green blue
heavy light early late quick slow small large seven eleven market winter summer paper bread water music
"""


LONG_ANSWERS = {
    "refund": "Refunds take five working days.",
    "delivery": "Your parcel leaves us tomorrow morning.",
    "invoice": "All invoices are listed under Orders.",
    "password": "Please follow the link we sent.",
}


def write_easy_task(path: Path, *, rows: int, turned: int = 0, answers: Mapping[str, str] | None = None) -> list[str]:
    """Write the columns text and label; returns the texts. The last `turned` of them are not labelled as they say.

    `answers`: what stands in the column label for each of the labels, where that is not the label itself.
    """
    rng = random.Random(0)
    pairs = []
    for number in range(rows + turned):
        label = rng.choice(LABELS)
        words = [*rng.sample(WORDS.split(), 9), label]
        rng.shuffle(words)
        meant = label if number < rows else LABELS[LABELS.index(label) - 1]
        pairs.append((" ".join(words), (answers or {}).get(meant, meant)))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *pairs])
    return [text for text, _ in pairs]
