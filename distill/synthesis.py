"""More questions than clients have asked: the teacher writes some of the kind of those that are recorded, then answers
them as if they had been asked.

For a task whose traffic is thin. What is written teaches, and does nothing else: no reference, no fit row, no row that
stops a training and none of a window is synthetic, since how often a student agrees on questions of a teacher's making
says nothing of clients'.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from distill.clusters import Known, normalise
from distill.gateway import GatewayUnavailable
from distill.rows import TrainingRow
from ledger.clients import CLIENT_FIELDS

SEEDS_SHOWN, WRITTEN_AT_ONCE = 8, 10
ROUND = 8  # requests at a time; so many in a row that bring nothing new end it
FEWEST_SEEDS = 20  # fewer examples say too little of what a job is like
LONGER = 3.0  # than the longest seed, by so much, is no message of its kind
SPARE_TOKENS = 1024  # for what a teacher that reasons thinks first; a character a token is enough for any language
# Of a request: who asked, and how the reply was to be sent and kept.
UNSAID = CLIENT_FIELDS | {"stream", "stream_options", "store", "logprobs", "top_logprobs"}
BRIEF = (
    "You extend a set of examples. Below are messages that people sent to a system, one JSON string a line. Write "
    "{count} new messages of the same kind: other subjects, facts and wordings, and the same language, tone, length "
    "and mistakes as real ones. Do not answer them, and do not repeat an example. Reply with a JSON array of {count} "
    "strings and nothing else."
)
SYSTEM = "The system's own instruction, so that you know what it is for:\n{prompt}"
Passed = Literal["empty", "too long", "private", "known already"]
Asks = Callable[[Sequence[Mapping[str, Any]]], list[str | None]]  # requests -> the teacher's words, None without any


@dataclass
class Writing:
    """What has been written: `texts` that are new, `passed` ones by why they are not used, how many replies were no
    list of messages, how many requests had none, and why it `ended` before there were enough."""

    texts: list[str] = field(default_factory=list)
    passed: Counter[Passed] = field(default_factory=Counter)
    unread: int = 0
    unanswered: int = 0
    ended: str | None = None

    def words(self) -> Iterator[str]:
        """What to tell."""
        passed = ", ".join(f"{count} {why}" for why, count in sorted(self.passed.items()) if count)
        yield f"{len(self.texts)} new messages are written" + (f"; passed over: {passed}" if passed else "")
        if self.unread:
            yield f"{self.unread} replies were no JSON array of strings"
        if self.unanswered:
            yield f"{self.unanswered} requests for more had no reply"
        if self.ended:
            yield f"it ended before there were enough: {self.ended}"


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
    is_private: Callable[[str], bool] = lambda _: False,
) -> Writing:
    """Have `most` messages written like the `seeds`, none of them a near-duplicate of a `known` one or of another.

    Each request shows other seeds, drawn from `seed`. What `is_private` would be recorded otherwise than it was asked.
    Ends early where nothing new comes, and where the teacher answers nothing any more. Raises GatewayUnavailable where
    that is so before anything is written.
    """
    draw, found, longest = random.Random(seed), Writing(), LONGER * max(map(len, seeds))
    before, dry = Known(known), list[str | None]()
    while len(found.texts) < most and found.ended is None:
        requests = min(ROUND, requests_needed(most - len(found.texts)))
        shown = [draw.sample(seeds, min(SEEDS_SHOWN, len(seeds))) for _ in range(requests)]
        try:
            replies = ask([brief(some, prompt=prompt) for some in shown])
        except GatewayUnavailable as error:
            if not found.texts:
                raise
            found.ended = str(error)
            break
        usable = list(_usable(_heard(replies, found), found.passed, longest=longest, is_private=is_private))
        fresh = [text for text, is_new in zip(usable, before.take(usable), strict=True) if is_new]
        found.passed["known already"] += len(usable) - len(fresh)
        found.texts += fresh[: most - len(found.texts)]
        dry = [] if fresh else [*dry, *replies]
        found.ended = _why_dry(dry) if len(dry) >= ROUND else None
        progress(len(found.texts), most)
    return found


def _heard(replies: Sequence[str | None], found: Writing) -> Iterator[str]:
    for reply in replies:
        texts = read(reply)
        found.unanswered += reply is None
        found.unread += reply is not None and texts is None
        yield from (text.strip() for text in texts or ())


def _why_dry(replies: Sequence[str | None]) -> str:
    """Why so many replies have brought nothing new."""
    if any(read(reply) for reply in replies):
        return f"the last {len(replies)} requests brought nothing new: more examples would help, further requests not"
    return f"of the last {len(replies)} replies none was what was asked for; another teacher may write such lists"


def read(reply: str | None) -> list[str] | None:
    """The messages of a reply: a JSON array of strings, in a fence or not; None where it is none."""
    start, end = (reply or "").find("["), (reply or "").rfind("]")
    try:
        found = json.loads((reply or "")[start : end + 1])
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(text, str) for text in found) else None


def _usable(
    written: Iterable[str], passed: Counter[Passed], *, longest: float, is_private: Callable[[str], bool]
) -> Iterator[str]:
    for text in written:
        if not normalise(text):
            passed["empty"] += 1
        elif len(text) > longest:
            passed["too long"] += 1
        elif is_private(text):
            passed["private"] += 1
        else:
            yield text


def as_asked(like: TrainingRow, text: str) -> dict[str, Any]:
    """The request of a recorded row with another message in the place of the user's last one, and without what says who
    asked and how the reply is to be sent."""
    last = max(number for number, said in enumerate(like.messages) if said["role"] == "user")
    asked = {"role": "user", "content": text}  # without a `name`, which is the client's too
    messages = [asked if number == last else said for number, said in enumerate(like.messages)]
    return {**{name: value for name, value in like.params.items() if name not in UNSAID}, "messages": messages}
