"""Messages to the help desk of an online shop, with the topic each is about: the traffic of the demonstration.

The splits share the world (products, days, sums) and the meaning of the topics, but no sentence template, opening,
detail or closing. 'train' and 'serve' are steady traffic; in 'drift-train' and 'drift-serve' it has drifted: to topics
that are new, to new wording, beside which the older wording of 'train' and of 'serve' goes on, and to two topics' going
by the names of others. Text only: nothing here knows of students, teachers or the gateway.

    python -m tutelage.demo.corpus OUT.csv --train 1200 --serve 800 --drift-train 500 --drift-serve 900 --seed 7
"""

import argparse
import csv
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from tutelage.demo import (
    templates_drift_serve,
    templates_drift_train,
    templates_serve,
    templates_train,
    templates_train_more,
)
from tutelage.demo.phrases import CLOSINGS, DETAILS, INTENTS, MERGED, OPENINGS, SLOTS, TONES

Split = Literal["train", "serve", "drift-train", "drift-serve"]
SPLITS: tuple[Split, ...] = get_args(Split)

# Drifted traffic -> the split whose wording goes on in it, for the topics that it knows.
OLD_WORDING: Mapping[Split, Split] = {"drift-train": "train", "drift-serve": "serve"}
GOES_ON = 0.5  # share of those messages that are in the old wording

_TEMPLATES: Mapping[Split, Mapping[str, str]] = {
    "train": {
        intent: text.rstrip() + templates_train_more.TEMPLATES[intent]
        for intent, text in templates_train.TEMPLATES.items()
    },
    "serve": templates_serve.TEMPLATES,
    "drift-train": templates_drift_train.TEMPLATES,
    "drift-serve": templates_drift_serve.TEMPLATES,
}

SYSTEM_PROMPT = "Name the topic of this message to an online shop in one word."

MIN_WORDS = 6
# The longest message by `length`. Measured: system prompt and message stay within 60 tokens of SmolLM2's tokenizer.
MAX_LENGTH = 36

CONTRACTED = 0.6  # share of the messages that say "don't"; a few of them leave the apostrophe out
MISSPELT = 0.25  # share of the messages with one typing error or two
CARELESS = 0.2  # share without capitals, and again without the last full stop


def generate(*, rows: int, seed: int, split: Split) -> Iterator[tuple[str, str]]:
    """Yield `rows` pairs of (text, label), no text twice; the same arguments always give the same pairs."""
    rng = random.Random(f"{seed}/{split}")
    sentences = {wording: templates(wording) for wording in (split, OLD_WORDING.get(split, split))}
    shares, merged = INTENTS[split], MERGED.get(split, {})
    seen: set[str] = set()
    while len(seen) < rows:
        intent = rng.choices(list(shares), weights=list(shares.values()))[0]
        wording = _wording(rng, intent, split=split)
        text = _message(rng, rng.choice(sentences[wording][intent]), split=wording)
        if text not in seen:
            seen.add(text)
            yield text, merged.get(intent, intent)


def write_csv(path: Path, *, rows: Mapping[Split, int], seed: int) -> None:
    """Write the columns text, label, part to `path`: the rows of each split, in the order of `rows`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "part"])
        for split, number in rows.items():
            writer.writerows([text, label, split] for text, label in generate(rows=number, seed=seed, split=split))


def templates(split: Split) -> dict[str, list[str]]:
    """The sentence templates of a split's own wording, by intent."""
    texts = _TEMPLATES[split].items()
    return {intent: re.sub(r"\n (?=\S)", " ", text).strip().split("\n") for intent, text in texts}


def length(text: str) -> int:
    """A cheap stand-in for the number of tokens: words, digits and punctuation marks; a word over 9 letters is two."""
    pieces = re.findall(r"[^\W\d]+|\d|[^\w\s]", text)
    return len(pieces) + sum(len(piece) > 9 for piece in pieces)


def _wording(rng: random.Random, intent: str, *, split: Split) -> Split:
    """The split whose sentences and frame a message takes: `split` itself, or the one whose wording goes on in it."""
    older = OLD_WORDING.get(split)
    if older is None or intent not in INTENTS[older] or rng.random() >= GOES_ON:
        return split
    return older


def _message(rng: random.Random, template: str, *, split: Split) -> str:
    """One message around `template`; drawn again until it is neither too short nor too long."""
    while True:
        text = _type(rng, _compose(rng, template, split=split))
        if len(text.split()) >= MIN_WORDS and length(text) <= MAX_LENGTH:
            return text


def _compose(rng: random.Random, template: str, *, split: Split) -> str:
    """Opening, the matter itself, a detail, a closing, as the drawn tone has them, in clean spelling."""
    tones = TONES[split]
    tone = rng.choices(list(tones), weights=[weight for weight, *_ in tones.values()])[0]
    _, opens, adds, closes = tones[tone]
    parts = [
        _pick(rng, OPENINGS[split][tone]) if rng.random() < opens else "",
        template,
        _pick(rng, DETAILS[split]) if rng.random() < adds else "",
        _pick(rng, CLOSINGS[split][tone]) if rng.random() < closes else "",
    ]
    return _capitalise(_expand(rng, " ".join(part for part in parts if part)))


def _expand(rng: random.Random, template: str) -> str:
    """Choose one of every `(a|b)`, fill every `{slot}`; spaces around an empty choice close up."""
    text = re.sub(r"\(([^()]*)\)", lambda found: rng.choice(found[1].split("|")), template)
    text = re.sub(r"\{(\w+)\}", lambda found: _pick(rng, SLOTS[found[1]]), text)
    text = re.sub(r"[@#]", lambda found: str(rng.randint(int(found[0] == "@"), 9)), text)
    return re.sub(r"\s+", " ", re.sub(r" +(?=[,.?!])", "", text)).strip()


def _pick(rng: random.Random, choices: str) -> str:
    """One of the choices that stand between bars outside parentheses."""
    return rng.choice(re.split(r"\|\s*(?![^()]*\))", choices))


def _capitalise(text: str) -> str:
    """A capital at the start and after a sentence's end; an order number's "no." ends none."""
    return re.sub(r"(^|(?<!\bno)[.?!] )([a-z])", lambda found: found[1] + found[2].upper(), text)


def _type(rng: random.Random, text: str) -> str:
    """Type the clean text as people do: contractions, slips, no capitals, no full stop."""
    if rng.random() < CONTRACTED:
        text = _contract(text, apostrophe="'" if rng.random() < 0.8 else "")
    if rng.random() < MISSPELT:
        for _ in range(rng.choice((1, 1, 2))):
            text = _misspell(rng, text)
    if rng.random() < CARELESS:
        text = text.lower()
    if rng.random() < CARELESS:
        text = text.rstrip(".")
    return text


def _contract(text: str, *, apostrophe: str) -> str:
    """Contract "not" everywhere, and "I am", "it is" and their like where a clause begins ("where it is" stays)."""
    text = re.sub(r"\b(do|does|did|is|was|were|has|have|would|could) not\b", rf"\1n{apostrophe}t", text)
    text = re.sub(r"\b([Cc]an)(not| not)\b", rf"\1{apostrophe}t", text)
    text = re.sub(r"\b([Ww])ill not\b", rf"\1on{apostrophe}t", text)
    if not apostrophe:
        return text
    text = re.sub(r"(^|[,.?!:] )(I am|[Ii]t is|[Tt]hat is|[Tt]here is|[Ww]e are|[Yy]ou are) (?=\w)", _joined, text)
    return text.replace("I would like", "I'd like")


def _joined(found: re.Match[str]) -> str:
    subject, verb = found[2].split()
    return f"{found[1]}{subject}'{verb.removeprefix('a').removeprefix('i')} "


def _misspell(rng: random.Random, text: str) -> str:
    """Swap, drop or double one inner letter of a word of at least four."""
    spots = [found.start() for found in re.finditer(r"(?<=[a-z])[a-z](?=[a-z]{2})", text)]
    if not spots:
        return text
    at = rng.choice(spots)
    here, after = text[at], text[at + 1]
    typed = rng.choice((after + here, after, here + here + after))
    return text[:at] + typed + text[at + 2 :]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a corpus to a CSV file; exit code 2 where it cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m tutelage.demo.corpus", description=write_csv.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.csv")
    for split in SPLITS:
        late, told = split in OLD_WORDING, f"rows of the '{split}' split"
        parser.add_argument(f"--{split}", dest=split, type=int, default=0, required=not late, metavar="N", help=told)
    parser.add_argument("--seed", type=int, required=True, metavar="S")
    options = parser.parse_args(arguments)
    try:
        write_csv(options.out, rows={split: vars(options)[split] for split in SPLITS}, seed=options.seed)
    except OSError as error:
        parser.error(f"cannot write {options.out}: {error.strerror}")


if __name__ == "__main__":
    main()
