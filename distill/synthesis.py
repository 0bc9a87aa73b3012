"""More questions than clients have asked: the teacher writes some of the kind of those that are recorded, then answers
them as if they had been asked.

For a task whose traffic is thin. What is written teaches, and does nothing else: no reference, no fit row, no row that
stops a training and none of a window is synthetic, since how often a student agrees on questions of a teacher's making
says nothing of clients'.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from distill.clusters import cluster, normalise
from distill.rows import TrainingRow

SEEDS_SHOWN, WRITTEN_AT_ONCE = 8, 10
ROUND = 8  # requests, whose messages are compared together with what is known
FEWEST_SEEDS = 20  # fewer examples say too little of what a job is like
LONGER = 3.0  # than the longest seed, by so much, is no message of its kind
SPARE_TOKENS = 1024  # for what a teacher that reasons thinks first; a character a token is enough for any language
UNSAID = ("stream", "stream_options", "store", "user", "metadata", "logprobs", "top_logprobs")  # of a request's client
BRIEF = (
    "You extend a set of examples. Below are messages that people sent to a system, one JSON string a line. Write "
    "{count} new messages of the same kind: other subjects, facts and wordings, and the same language, tone, length "
    "and mistakes as real ones. Do not answer them, and do not repeat an example. Reply with a JSON array of {count} "
    "strings and nothing else."
)
SYSTEM = "The system's own instruction, so that you know what it is for:\n{prompt}"
Passed = Literal["empty", "too long", "known already"]
Asks = Callable[[Sequence[Mapping[str, Any]]], list[str | None]]  # requests -> the teacher's words, None without any


@dataclass
class Writing:
    """What has been written: `texts` that are new, `passed` ones by why they are not used, how many replies were no
    list of messages, and whether it ended because nothing new came any more."""

    texts: list[str] = field(default_factory=list)
    passed: Counter[Passed] = field(default_factory=Counter)
    unread: int = 0
    barren: bool = False

    def words(self) -> Iterator[str]:
        """What to tell."""
        passed = ", ".join(f"{count} {why}" for why, count in sorted(self.passed.items()))
        yield f"{len(self.texts)} new messages are written" + (f"; passed over: {passed}" if passed else "")
        if self.unread:
            yield f"{self.unread} replies were no JSON array of strings"
        if self.barren:
            yield "the last requests brought nothing new: more examples would help, more requests would not"


def requests_needed(rows: int) -> int:
    """How many requests it takes at least to have so many messages written."""
    return -(-rows // WRITTEN_AT_ONCE)


def brief(seeds: Sequence[str], *, prompt: str | None) -> dict[str, Any]:
    """The request to write `WRITTEN_AT_ONCE` messages like these, with room for them. `prompt`: the task's system
    message."""
    orders = [BRIEF.format(count=WRITTEN_AT_ONCE), *([SYSTEM.format(prompt=prompt)] if prompt else [])]
    shown = "\n".join(json.dumps(seed, ensure_ascii=False) for seed in seeds)
    messages = [{"role": "system", "content": "\n\n".join(orders)}, {"role": "user", "content": shown}]
    return {"messages": messages, "max_tokens": SPARE_TOKENS + WRITTEN_AT_ONCE * max(map(len, seeds))}


def write(  # noqa: PLR0913  each is a rule of what is written
    seeds: Sequence[str],
    *,
    known: Sequence[str],
    most: int,
    prompt: str | None,
    ask: Asks,
    seed: int,
    progress: Callable[[int, int], None],
) -> Writing:
    """Have `most` messages written like the `seeds`, none of them a near-duplicate of a `known` one or of another.

    Each request shows other seeds, drawn from `seed`. Raises what `ask` does; ends early where nothing new comes.
    """
    draw, found = random.Random(seed), Writing()
    while len(found.texts) < most and not found.barren:
        requests = min(ROUND, requests_needed(most - len(found.texts)))
        shown = [draw.sample(list(seeds), min(SEEDS_SHOWN, len(seeds))) for _ in range(requests)]
        replies = [read(reply) for reply in ask([brief(some, prompt=prompt) for some in shown])]
        found.unread += replies.count(None)
        written = [text.strip() for reply in replies if reply for text in reply]
        fresh = list(_new(written, found, known=known, longest=LONGER * max(map(len, seeds))))
        found.texts += fresh[: most - len(found.texts)]
        found.barren = not fresh
        progress(len(found.texts), most)
    return found


def read(reply: str | None) -> list[str] | None:
    """The messages of a reply: a JSON array of strings, in a fence or not; None where it is none."""
    start, end = (reply or "").find("["), (reply or "").rfind("]")
    try:
        found = json.loads((reply or "")[start : end + 1])
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(text, str) for text in found) else None


def _new(written: Sequence[str], found: Writing, *, known: Sequence[str], longest: float) -> Iterator[str]:
    usable = []
    for text in written:
        if not normalise(text):
            found.passed["empty"] += 1
        elif len(text) > longest:
            found.passed["too long"] += 1
        else:
            usable.append(text)
    before = [*known, *found.texts]
    clusters = cluster([*before, *usable])
    taken = set(clusters[: len(before)])
    for text, number in zip(usable, clusters[len(before) :], strict=True):
        if number in taken:
            found.passed["known already"] += 1
        else:
            taken.add(number)
            yield text


def as_asked(like: TrainingRow, text: str) -> dict[str, Any]:
    """The request of a recorded row with another message in the place of the user's last one, and without what says who
    asked and how the reply is to be sent."""
    last = max(number for number, said in enumerate(like.messages) if said["role"] == "user")
    messages = [{**said, "content": text} if number == last else said for number, said in enumerate(like.messages)]
    return {**{name: value for name, value in like.params.items() if name not in UNSAID}, "messages": messages}
