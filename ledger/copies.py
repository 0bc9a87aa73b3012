"""What we have asked teachers and judges on our own account, and holds what a client has asked: such questions know
neither the exchange nor the key that they come from, so they are told by their texts."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.database import parts
from ledger.ended import FORGOTTEN
from ledger.records import TRAFFIC
from ledger.schema import exchanges

INSTRUCTIONS = ("system", "developer")  # of which ours may be others than the client's
Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Asked:
    """What clients have asked: whole conversations, without instructions, and the last question of each."""

    conversations: frozenset[tuple[tuple[str, str], ...]]
    questions: frozenset[str]

    @classmethod
    def of(cls, several: Iterable[Messages]) -> "Asked":
        """An empty question is nobody's."""
        spoken = frozenset(filter(None, map(_conversation, several)))
        lasts = ([text for role, text in each if role == "user"][-1:] for each in spoken)
        return cls(spoken, frozenset(filter(None, (text.strip() for last in lasts for text in last))))


def copies(connection: sa.Connection, ids: Sequence[str], *, task: str) -> list[str]:
    """The exchanges of the task on our own account that hold what any of these has asked, all of it or its last
    question. What somebody else has asked in the same words is among them: it is a question, and nobody's answer."""
    messages = (_messages(connection, exchanges.c.id.in_(part)) for part in parts(ids))
    asked = Asked.of(each for part in messages for _, _, each in part)
    ours = sa.and_(exchanges.c.task == task, exchanges.c.origin.not_in(TRAFFIC))
    found = _messages(connection, sa.and_(ours, exchanges.c.prompt_fingerprint != FORGOTTEN))
    return [name for name, origin, messages in found if _HOLDS.get(origin, _repeats)(messages, asked)]


def _messages(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> Iterator[tuple[str, str, Messages]]:
    query = sa.select(exchanges.c.id, exchanges.c.origin, exchanges.c.messages).where(condition)
    for row in connection.execute(query.order_by(exchanges.c.seq).execution_options(yield_per=1000)):
        yield row.id, row.origin, row.messages


def _conversation(messages: Messages) -> tuple[tuple[str, str], ...]:
    return tuple((each["role"], said(each)) for each in messages if each["role"] not in INSTRUCTIONS)


def said(message: Mapping[str, Any]) -> str:
    """The text of a message as far as it has any, whatever else it holds: what clients send may be of no form that the
    student reads."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = [part for part in content or () if isinstance(part, Mapping) and part.get("type") == "text"]
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _repeats(messages: Messages, asked: Asked) -> bool:
    """Asked again, perhaps under another instruction."""
    return _conversation(messages) in asked.conversations


def _compares(messages: Messages, asked: Asked) -> bool:
    """As `calibration.question` puts two answers to a judge."""
    try:
        request = json.loads(said(messages[-1]))["request"]
    except (ValueError, KeyError, TypeError, IndexError):
        return False
    return str(request).strip() in asked.questions


def _shows(messages: Messages, asked: Asked) -> bool:
    """As `distill.synthesis` shows examples to who writes more of them: each a JSON string on a line of its own."""
    return any(_read(line) in asked.questions for each in messages for line in said(each).split("\n"))


def _read(line: str) -> str:
    try:
        return str(json.loads(line)).strip()
    except ValueError:
        return ""


_HOLDS: Mapping[str, Callable[[Messages, Asked], bool]] = {"judge": _compares, "writer": _shows}
