"""A teacher's log-probabilities in the student's own tokens, or not at all.

They are recorded as text. A student can learn from them where its tokenizer cuts the answer into the very same pieces,
and every alternative is exactly one of its tokens; of any other row it learns the answer alone. Nothing is guessed. An
alternative that a server could not write (half a letter, which vLLM leaves empty and others show as U+FFFD) is one of
all the others.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from distill.render import Chat, Unspeakable, render_pair
from distill.rows import Targets, TrainingRow
from ledger.records import Piece, Place
from ledger.token_logprobs import token_bytes

if TYPE_CHECKING:  # importing transformers takes a second, and only its type is named here
    from transformers import PreTrainedTokenizerBase

WITHOUT = "without any"
MOST = 1.01  # that probabilities may come to together: what was rounded, and no more


@dataclass(frozen=True)
class Aligned:
    """Of so many `rows` the targets of some, by exchange; why the others have none, and of how many that is so."""

    rows: int = 0
    targets: Mapping[str, Targets] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)

    @property
    def recorded(self) -> bool:
        """Whether any row has some, of whatever tokens."""
        return self.missed.get(WITHOUT, 0) < self.rows

    def given(self, rows: Iterable[TrainingRow]) -> tuple[TrainingRow, ...]:
        """The rows with their targets."""
        return tuple(replace(row, targets=self.targets.get(row.exchange_id)) for row in rows)

    @property
    def words(self) -> str:
        """How many have any, and why others have none."""
        if not self.recorded:
            return f"none of {self.rows} rows has log-probabilities of its teacher"
        others = ", ".join(f"{count} {why}" for why, count in self.missed.items())
        told = (
            f"{len(self.targets)} of {self.rows} rows have log-probabilities of their teacher in the student's tokens"
        )
        return f"{told} ({others})" if others else told


NOTHING_TOLD = Aligned()


class Vocabulary:
    """The bytes that each of a tokenizer's tokens stands for."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokens: dict[str, int] = tokenizer.get_vocab()
        self._added = set(tokenizer.get_added_vocab())
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = json.loads(backend.to_str())["decoder"] if backend is not None else None
        self._reads = _reader(decoder)

    @cached_property
    def bytes_of(self) -> dict[int, bytes]:
        """Of each token; of none where it is not known how this tokenizer writes bytes."""
        if self._reads is None:
            return {}
        read = {
            number: token.encode() if token in self._added else self._reads(token)
            for token, number in self._tokens.items()
        }
        return {number: found for number, found in read.items() if found is not None}

    @cached_property
    def only(self) -> dict[bytes, int]:
        """The one token that stands for these bytes. `<0x41>` is written where there is no "A", and counts then."""
        found: dict[bytes, list[tuple[bool, int]]] = {}
        for token, number in self._tokens.items():
            if number in self.bytes_of:
                found.setdefault(self.bytes_of[number], []).append((_is_byte(token), number))
        plain = {
            each: [number for is_byte, number in same if not is_byte] or [same[0][1]] for each, same in found.items()
        }
        return {each: numbers[0] for each, numbers in plain.items() if len(numbers) == 1}


def _reader(decoder: Any) -> Any:
    """From a token as the vocabulary writes it to its bytes; None for a way of writing that is not known."""
    kinds = {part["type"] for part in _parts(decoder)}
    if kinds == {"ByteLevel"}:
        byte_of = _byte_level()
        return lambda token: bytes(byte_of[each] for each in token) if byte_of.keys() >= set(token) else None
    if "ByteFallback" in kinds:  # as sentencepiece writes them
        return lambda token: bytes([int(token[3:5], 16)]) if _is_byte(token) else token.replace("\u2581", " ").encode()
    return None


def _parts(decoder: Any) -> Iterable[Mapping[str, Any]]:
    if not decoder:
        return []
    return decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]


def _is_byte(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _byte_level() -> dict[str, int]:
    """GPT-2's way to write a byte as a letter (Radford et al. 2019, `bytes_to_unicode`)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in set(plain)]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + n): byte for n, byte in enumerate(others)}}


def align(chat: Chat, rows: Sequence[TrainingRow], recorded: Iterable[tuple[str, list[Place]]]) -> Aligned:
    """The targets of rows whose exchange has any `recorded`."""
    by_exchange = {row.exchange_id: row for row in rows}
    vocabulary = Vocabulary(chat.tokenizer)
    targets: dict[str, Targets] = {}
    missed: Counter[str] = Counter()
    for exchange_id, places in recorded:
        found = _targets(chat, vocabulary, by_exchange[exchange_id], places=places)
        if isinstance(found, Targets):
            targets[exchange_id] = found
        else:
            missed[found] += 1
    missed[WITHOUT] = len(rows) - len(targets) - missed.total()
    return Aligned(len(rows), targets, {why: count for why, count in missed.most_common() if count})


def nothing_of(rows: Sequence[TrainingRow]) -> Aligned:
    """Where nothing is recorded."""
    return Aligned(len(rows), missed={WITHOUT: len(rows)})


def _targets(chat: Chat, vocabulary: Vocabulary, row: TrainingRow, *, places: list[Place]) -> Targets | str:
    """Or why there are none."""
    if not vocabulary.bytes_of:
        return "of a student whose tokenizer is not read"
    try:
        rendered = render_pair(chat, row.messages, row.completion)
    except (Unspeakable, ValueError):
        return "that its chat template does not take"
    answer = [
        number for number, is_answer in zip(rendered.input_ids, rendered.completion_mask, strict=True) if is_answer
    ]
    pieces = [token_bytes(place[0][0]) for place in places]
    if b"".join(pieces) not in (
        row.completion.encode(),
        row.completion.encode() + vocabulary.bytes_of.get(chat.end, b""),
    ):
        return "of another answer"
    own = [vocabulary.bytes_of.get(number) for number in answer]
    if pieces not in (own, own[:-1]):
        return "in other tokens"
    places = [[place[0], *(other for other in place[1:] if not _unwritten(other[0]))] for place in places]
    ids = [_ids(vocabulary, number, place) for number, place in zip(answer, places, strict=False)]
    if not all(ids):
        return "with alternatives that are none of its tokens, or several"
    if any(sum(np.exp([logprob for _, logprob in place])) > MOST for place in places):
        return "that are no probabilities"
    return Targets.of(ids, [[logprob for _, logprob in place] for place in places], length=len(answer))


def _unwritten(kept: Piece) -> bool:
    return isinstance(kept, str) and (not kept or "\ufffd" in kept)


def _ids(vocabulary: Vocabulary, number: int, place: Place) -> list[int]:
    """Of the token that stands at a place, and of its alternatives; none where one of these is not one other token."""
    ids = [number, *(vocabulary.only.get(token_bytes(kept), number) for kept, _ in place[1:])]
    return ids if len(set(ids)) == len(ids) else []
