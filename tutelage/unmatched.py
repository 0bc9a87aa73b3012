"""Requests that belong to no task: how many, which task each is nearest to, and by what it differs.

A prompt that was edited, or that has a date in it, is another one than the task's: its requests are the teacher's, and
nobody notices but the one who pays.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import sqlalchemy as sa

from ledger import aliases
from ledger.prompts import Prompt, counts, prompts_of
from router.settings import ConfigError, Settings
from router.wire import ChatRequest

DAY_S = 86_400.0
MOST_PROMPTS = 300  # that are read, the most frequent ones: one with a date in it makes a new one each day
MOST_WORDS = 400  # of a system message that are compared
ALIKE = 0.8  # words in common of two texts, as difflib's ratio: one of them is probably the other one, edited
RELATED = 0.4  # a difference of less would be read as two texts
AROUND = 4  # words that are shown on each side of a difference
MOST_SHOWN = 90  # words of a difference


@dataclass(frozen=True)
class Nearest:
    """The task whose system message is most like this one: `alike` in [0, 1], and the difference in words."""

    task: str
    alike: float
    difference: str


@dataclass(frozen=True)
class Group:
    """Requests without a task whose prompts are alike. `id` names the most frequent prompt's text, which `texts` begins
    with; None: they have no system message."""

    id: str
    model: str
    requests: int
    last_at: float
    texts: tuple[str | None, ...]
    nearest: Nearest | None


@dataclass(frozen=True)
class Unmatched:
    """Of `requests` of clients `unmatched` belong to no task, in these groups, largest first; `left_out`: those whose
    prompts are too rare to be read."""

    requests: int
    unmatched: int
    groups: tuple[Group, ...]
    left_out: int

    def words(self, *, days: float) -> str:
        """How many, in a line."""
        if not self.requests:
            return "no client has asked anything"
        share, of_days = self.unmatched / self.requests, "day" if days == 1 else f"{days:g} days"
        return f"{self.unmatched} of {self.requests} requests of the last {of_days} ({share:.1%}) belong to no task"


def find(settings: Settings, engine: sa.Engine, *, since: float) -> Unmatched:
    """All of them since a time."""
    unmatched, every = counts(engine, settings.tasks, since=since)
    read = prompts_of(engine, None, since=since, limit=MOST_PROMPTS)
    groups = _grouped(read, known_texts(settings, engine, since=since), settings) if read else ()
    largest_first = tuple(sorted(groups, key=lambda group: -group.requests))
    return Unmatched(every, unmatched, largest_first, unmatched - sum(group.requests for group in largest_first))


def in_a_line(settings: Settings, engine: sa.Engine, *, now: float) -> str | None:
    """For `tutelage status`: None where every request of the last day has a task."""
    found = find(settings, engine, since=now - DAY_S)
    if not found.unmatched:
        return None
    near = found.groups[0].nearest if found.groups else None
    like = f"; the most frequent ones are like {near.task}'s" if near else ""
    return f"{found.words(days=1)}{like}: `tutelage unmatched` shows by what they differ"


def known_texts(settings: Settings, engine: sa.Engine, *, since: float) -> dict[str, list[str]]:
    """Task -> the system messages that it is known by: of the settings, of aliases, or else what most of its requests
    have."""
    found: dict[str, list[str]] = {name: [] for name in settings.tasks}
    for name, task in settings.tasks.items():
        if task.system_prompt is not None:
            found[name].append(task.system_prompt)
        else:
            usual = (text_of(each) for each in prompts_of(engine, name, since=since, limit=1))
            found[name] += filter(None, usual)
    for alias in aliases.in_force(engine):
        if alias.kind == "prompt" and alias.task in found:
            found[alias.task].append(alias.value)
    return found


def text_of(prompt: Prompt) -> str | None:
    """Its system message."""
    return ChatRequest({"messages": prompt.messages}, prompt.model, False, False, None).system_prompt


def text_id(text: str | None) -> str:
    """A short name of a system message."""
    return hashlib.sha256((text or "").encode()).hexdigest()[:8]


def chosen(settings: Settings, found: Unmatched, *, task: str, text_named: str) -> str:
    """The system message of that id, for an alias of the task. Raises ConfigError where it would match nothing."""
    named = ((group, text) for group in found.groups for text in group.texts if text_id(text) == text_named)
    group, text = next(named, (None, None))
    if group is None:
        raise ConfigError(f"no prompt {text_named!r} without a task: `tutelage unmatched` shows their ids")
    if text is None:
        raise ConfigError(f"{text_named} has no system message to know it by: {_BY_NAME}")
    teacher = settings.task(task).teacher
    if group.model != teacher:
        raise ConfigError(
            f"requests of {text_named} ask for {group.model!r}, and the teacher of {task} is {teacher!r}: {_BY_NAME}"
        )
    return text


_BY_NAME = "have clients send the task's name as `model`, or in the header x-tutelage-task"


def _grouped(read: Sequence[Prompt], known: Mapping[str, list[str]], settings: Settings) -> Iterator[Group]:
    """Each prompt joins the first group of its model that it is like: one with a date in it is one group."""
    groups: list[list[tuple[Prompt, str | None]]] = []
    for prompt in read:
        text = text_of(prompt)
        for members in groups:
            first, like = members[0]
            if first.model == prompt.model and (like == text or _alike(like, text) >= ALIKE):
                members.append((prompt, text))
                break
        else:
            groups.append([(prompt, text)])
    for members in groups:
        first, text = members[0]
        yield Group(
            id=text_id(text),
            model=first.model,
            requests=sum(prompt.requests for prompt, _ in members),
            last_at=max(prompt.last_at for prompt, _ in members),
            texts=tuple(dict.fromkeys(each for _, each in members)),
            nearest=None if text is None else nearest_task(text, known, settings, model=first.model),
        )


def nearest_task(text: str, known: Mapping[str, list[str]], settings: Settings, *, model: str) -> Nearest | None:
    """The task whose system message is most like a text that this model is asked with; None: none is like it."""
    likeness = [(_alike(own, text), own, task) for task, texts in known.items() for own in texts]
    alike, own, task = max(likeness, default=(0.0, "", ""))
    if alike < RELATED:
        return None
    teacher = settings.tasks[task].teacher
    if (model, text) == (teacher, own):
        return Nearest(task, alike, "none by now: they came before it was the task's")
    other = f"model {model!r} is not its teacher {teacher!r}" if model != teacher else ""
    return Nearest(task, alike, "; ".join(filter(None, (other, difference(own, text)))))


def _alike(one: str | None, other: str | None) -> float:
    if one is None or other is None:
        return float(one is other)
    matcher = SequenceMatcher(None, _words(one), _words(other), autojunk=False)
    # Both bound the ratio from above, and are far cheaper.
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < RELATED:
        return 0.0
    return matcher.ratio()


def difference(own: str, text: str) -> str:
    """By what a text differs from a task's, [-left out-] and {+put in+}, with a few words around each."""
    before, after = _words(own), _words(text)
    steps, parts = SequenceMatcher(None, before, after, autojunk=False).get_opcodes(), list[str]()
    for step in steps:
        kind, i, j, k, m = step
        if kind == "equal":
            parts += _cut(before[i:j], first=step == steps[0], last=step == steps[-1])
        else:
            parts += [f"[-{' '.join(before[i:j])}-]"] * (j > i) + [f"{{+{' '.join(after[k:m])}+}}"] * (m > k)
    if before == after:
        return "only white space differs, or what is behind the first words" if own != text else ""
    shown = " ".join(parts).split()
    return " ".join(shown[:MOST_SHOWN]) + (" ..." if len(shown) > MOST_SHOWN else "")


def _cut(words: list[str], *, first: bool, last: bool) -> list[str]:
    """What both texts have, but its middle; at the ends only what stands beside a difference."""
    head, tail = ([] if first else words[:AROUND]), ([] if last else words[-AROUND:])
    return words if len(words) <= len(head) + len(tail) else [*head, "...", *tail]


def _words(text: str) -> list[str]:
    return text.split()[:MOST_WORDS]
