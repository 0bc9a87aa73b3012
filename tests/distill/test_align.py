"""Log-probabilities are used in the student's own tokens, or not at all."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from distill.align import Aligned, Vocabulary, align, nothing_of
from distill.render import render
from tests.distill import tiny
from tests.distill.families import FAMILIES

END = "<|im_end|>"


def told(*places):
    """Of tokens that are letters, or bytes."""
    return [[(token, math.log(p)) for token, p in place] for place in places]


def letters(text, *others, p=0.9):
    return told(*[[(letter, p), *[(other, 0.01) for other in others]] for letter in text])


def aligned(row, places, chat=None):
    return align(chat or tiny.chat(), [row], [(row.exchange_id, places)])


def why(row, places, chat=None):
    found = aligned(row, places, chat)
    assert not found.targets and sum(found.missed.values()) == 1
    return next(iter(found.missed))


def test_each_token_and_its_alternatives_are_the_students():
    row, chat = tiny.row("total?", "no"), tiny.chat()
    (targets,) = aligned(row, told([("n", 0.7), ("y", 0.2)], [("o", 0.5)])).targets.values()
    answer = render(chat, row).input_ids[-3:]
    assert targets.ids.tolist() == [[answer[0], chat.tokenizer.convert_tokens_to_ids("y")], [answer[1], 0], [0, 0]]
    assert np.exp(targets.logprobs) == pytest.approx(np.array([[0.7, 0.2], [0.5, 0.0], [0.0, 0.0]]))


def test_the_end_of_the_answer_may_be_told_of():
    (targets,) = aligned(tiny.row("a", "no"), letters(["n", "o", END], "!")).targets.values()
    assert targets.ids[-1, 0] == 257 and np.isfinite(targets.logprobs).all()


def test_a_token_that_is_no_text_by_itself_is_its_bytes():
    places = [[([byte], -0.1), ([byte ^ 1], -2.5)] for byte in "\u2713".encode()]
    (targets,) = aligned(tiny.row("a", "\u2713"), places).targets.values()
    assert targets.ids.shape == (4, 2)


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        (letters("yes"), "of another answer"),
        (letters("n"), "of another answer"),
        (letters(["no"]), "in other tokens"),
        (letters(["n", "", "o"]), "in other tokens"),
        (letters("no", "yes"), "with alternatives that are none of its tokens, or several"),
        (letters("no", "!", "!"), "with alternatives that are none of its tokens, or several"),
        (letters("no", "n", "!"), "with alternatives that are none of its tokens, or several"),
        (letters("no", "!", p=1.2), "that are no probabilities"),
    ],
)
def test_whatever_is_not_the_same_is_not_used_and_told(places, reason):
    assert why(tiny.row("a", "no"), places) == reason


def test_an_alternative_that_could_not_be_written_is_one_of_all_others():
    (targets,) = aligned(tiny.row("a", "no"), letters("no", "\ufffd", "!", "")).targets.values()
    assert targets.ids.shape == (3, 2) and np.isfinite(targets.logprobs).sum() == 4
    assert why(tiny.row("a", "\ufffd"), letters("\ufffd")) == "in other tokens"


def test_an_answer_that_people_have_corrected_is_another_one():
    row = replace(tiny.row("a", "no"), correction="yes").corrected
    assert why(row, letters("no")) == "of another answer"


def test_what_the_template_does_not_take_is_not_used():
    chat = tiny.chat()
    chat.tokenizer.chat_template = "{{ raise_exception('no') }}"
    assert "template" in why(tiny.row("a", "no"), letters("no"), chat)


def test_rows_are_counted_by_what_became_of_them():
    rows = [tiny.row("a", "no", id=str(n)) for n in range(5)]
    recorded = [("0", letters("no")), ("3", letters("yes")), ("4", letters("yes"))]
    found = align(tiny.chat(), rows, recorded)
    assert (list(found.targets), found.missed) == (["0"], {"of another answer": 2, "without any": 2})
    assert found.words.startswith("1 of 5 rows") and found.words.endswith("(2 of another answer, 2 without any)")
    assert [row.targets is not None for row in found.given(rows)] == [True, False, False, False, False]
    assert nothing_of(rows).words == "none of 5 rows has log-probabilities of its teacher"
    assert Aligned(3, found.targets, {}).words.endswith("tokens")


def pieces(*tokens, fallback=True):
    """A tokenizer that writes its tokens as sentencepiece does."""
    vocabulary = {token: number for number, token in enumerate(["<unk>", *tokens])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token="<unk>"))
    steps = [decoders.Replace("\u2581", " "), *([decoders.ByteFallback()] if fallback else []), decoders.Fuse()]
    made.decoder = decoders.Sequence(steps)
    return Vocabulary(PreTrainedTokenizerFast(tokenizer_object=made))


def test_a_byte_counts_where_no_letter_is_it():
    found = pieces("\u2581", "A", "<0x41>", "<0x0A>", "\u2581A")
    assert found.bytes_of[1] == b" " and found.bytes_of[5] == b" A"
    assert found.only == {b"<unk>": 0, b" ": 1, b"A": 2, b"\n": 4, b" A": 5}


def test_of_two_tokens_with_the_same_text_neither_is_the_one():
    byte_level = tiny.byte_level(END)
    byte_level.add_tokens(["\u0120A"])  # as it is, where the vocabulary means a space and A
    found = Vocabulary(PreTrainedTokenizerFast(tokenizer_object=byte_level))
    assert found.only["\u0120A".encode()] == 257 and b" A" not in found.only
    same = pieces("a", " ", "\u2581")
    assert b" " not in same.only and same.only[b"a"] == 1


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3"])
def test_as_vllm_writes_them_tokens_are_found_again_or_are_half_letters(name):
    tokenizer = FAMILIES[name].make_tokenizer()
    only = Vocabulary(tokenizer).only
    for number in range(len(tokenizer)):
        text = tokenizer.decode([number])
        assert only.get(text.encode()) == number or text.endswith("\ufffd")


def test_a_tokenizer_that_is_not_read_gives_no_targets():
    assert pieces("a", fallback=False).bytes_of == {}
    chat = tiny.chat()
    chat.tokenizer.backend_tokenizer.decoder = decoders.WordPiece()
    assert "tokenizer is not read" in why(tiny.row("a", "no"), letters("no"), chat)
