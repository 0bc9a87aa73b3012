"""From messages to token ids, exactly as the serving engine sees and produces them.

The prompt is the chat template with the generation prompt, as vLLM renders it. The completion is the answer and the
one token at which the engine stops; a template's newline after it is never generated, so it is not taught.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from distill.errors import DistillError
from distill.rows import TrainingRow
from ledger.compact import compacted
from ledger.texts import message_text

if TYPE_CHECKING:  # importing transformers takes a second, and only its type is named here
    from transformers import PreTrainedTokenizerBase

SAID = "tutelage"  # an answer that no template writes by itself


class Unspeakable(DistillError):
    """The base model's chat template does not take these messages; vLLM answers 400 to them."""


@dataclass(frozen=True)
class Chat:
    """How a base model is spoken to: its tokenizer with the chat template, and the token that ends an answer.

    `unsaid`: the system message that the student does not read.
    """

    tokenizer: "PreTrainedTokenizerBase"
    end: int
    unsaid: str | None = None


@dataclass(frozen=True)
class Rendered:
    """Token ids, shape (T,), which of them the student is to produce, and by how much these count in training: as their
    row, times the `share` of a token of this target beside one of an answer."""

    input_ids: tuple[int, ...]
    completion_mask: tuple[bool, ...]
    weight: float = 1.0
    share: float = 1.0

    def __post_init__(self) -> None:
        assert len(self.input_ids) == len(self.completion_mask)
        assert self.completion_mask[-1] and not self.completion_mask[0], "a completion follows a prompt"


def end_of_answer(tokenizer: "PreTrainedTokenizerBase", stops: Collection[int]) -> int:
    """Of the tokens at which the engine stops, the one that the chat template writes after an answer.

    It is not the tokenizer's end of sequence everywhere: Gemma ends a turn otherwise, and Phi. That one where the
    template writes none.
    """
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": SAID}]
    after = _write(tokenizer, talk, to_be_answered=False).rpartition(SAID)[2]
    return next((token for token in _tokenize(tokenizer, after) if token in stops), tokenizer.eos_token_id)


@dataclass
class Readable:
    """Rows that the student can read, and as tokens; how many are too long, and how many its chat template does not
    take, with what it says of the last of these."""

    rows: list[TrainingRow] = field(default_factory=list)
    rendered: list[Rendered] = field(default_factory=list)
    too_long: int = 0
    unspeakable: int = 0
    refusal: str = ""


def readable(chat: Chat, rows: Sequence[TrainingRow], *, max_tokens: int) -> Readable:
    """Those of `max_tokens` at most, prompt and answer together. Raises ValueError for messages that are not text."""
    found = Readable()
    for row in rows:
        try:
            rendered = render(chat, row)
        except Unspeakable as error:
            found.unspeakable, found.refusal = found.unspeakable + 1, str(error)
            continue
        if len(rendered.input_ids) > max_tokens:
            found.too_long += 1
            continue
        found.rows.append(row)
        found.rendered.append(rendered)
    return found


def takes(chat: Chat, messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the base model's chat template takes them, and so the engine."""
    try:
        _prompt_text(chat, messages)
    except Unspeakable:
        return False
    return True


def render(chat: Chat, row: TrainingRow) -> Rendered:
    """The row as one sequence. Raises ValueError for messages that are not text, Unspeakable."""
    return replace(render_pair(chat, row.messages, row.completion), weight=row.weight)


def render_pair(chat: Chat, messages: Sequence[Mapping[str, Any]], completion: str) -> Rendered:
    """Prompt and completion as one sequence. Raises ValueError for messages that are not text, Unspeakable."""
    text = _prompt_text(chat, messages)
    prompt, both = _tokenize(chat.tokenizer, text), _tokenize(chat.tokenizer, text + completion)
    # Tokenised by itself, an answer would begin with a space for the tokenizers of Llama 2, Mistral and Phi-3, and
    # clients would get that space. Where a token spans the border it is apart, since the engine continues a prompt
    # that is tokens already.
    apart = both[: len(prompt)] != prompt
    answer = [*(_tokenize(chat.tokenizer, completion) if apart else both[len(prompt) :]), chat.end]
    return Rendered((*prompt, *answer), (False,) * len(prompt) + (True,) * len(answer))


def render_prompt(chat: Chat, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """The prompt's token ids, those that vLLM computes for the same messages. Raises Unspeakable."""
    return _tokenize(chat.tokenizer, _prompt_text(chat, messages))


def as_said(messages: Sequence[Mapping[str, Any]], *, unsaid: str | None) -> list[dict[str, Any]]:
    """As the engine is asked: in plain text, without what is `unsaid`. Raises ValueError for messages that are none."""
    return compacted([{**message, "content": message_text(message)} for message in messages], unsaid)


def _prompt_text(chat: Chat, messages: Sequence[Mapping[str, Any]]) -> str:
    return _write(chat.tokenizer, as_said(messages, unsaid=chat.unsaid), to_be_answered=True)


def _write(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Mapping[str, Any]], *, to_be_answered: bool) -> str:
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=to_be_answered))
    except TemplateError as error:
        turns = ", ".join(str(message.get("role")) for message in messages)
        raise Unspeakable(f"the chat template of {tokenizer.name_or_path} refuses {turns}: {error}") from error


def _tokenize(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    # The template has written every special token it wants.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
