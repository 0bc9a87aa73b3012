"""From messages to token ids, exactly as the serving engine sees and produces them.

The prompt is the chat template with the generation prompt, as vLLM renders it. The completion is the answer and the
one token at which the engine stops; a template's newline after it is never generated, so it is not taught.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill.rows import TrainingRow, message_text

if TYPE_CHECKING:  # importing transformers takes a second, and only its type is named here
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Rendered:
    """Token ids, shape (T,), and which of them the student is to produce."""

    input_ids: tuple[int, ...]
    completion_mask: tuple[bool, ...]

    def __post_init__(self) -> None:
        assert len(self.input_ids) == len(self.completion_mask)
        assert self.completion_mask[-1] and not self.completion_mask[0], "a completion follows a prompt"


def render(tokenizer: "PreTrainedTokenizerBase", row: TrainingRow) -> Rendered:
    """The row as one sequence. Raises ValueError for messages that are not text."""
    return render_pair(tokenizer, row.messages, row.completion)


def render_pair(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Mapping[str, Any]], completion: str
) -> Rendered:
    """Prompt and completion as one sequence. Raises ValueError for messages that are not text."""
    # Tokenised apart, since the engine continues a prompt that is already tokens: no token spans the border.
    prompt = render_prompt(tokenizer, messages)
    answer = [*_tokenize(tokenizer, completion), tokenizer.eos_token_id]
    return Rendered((*prompt, *answer), (False,) * len(prompt) + (True,) * len(answer))


def render_prompt(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """The prompt's token ids, those that vLLM computes for the same messages."""
    spoken = [{**message, "content": message_text(message)} for message in messages]
    return _tokenize(tokenizer, tokenizer.apply_chat_template(spoken, tokenize=False, add_generation_prompt=True))


def _tokenize(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    # The template has written every special token it wants.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
