from dataclasses import replace

import orjson
import pytest

from distill.render import render, render_prompt
from distill.rows import TrainingRow, as_student_reads
from router.wire import parse_chat
from tests.distill import tiny


@pytest.fixture(scope="module")
def chat():
    return tiny.chat()


def test_the_completion_is_the_answer_and_the_end_of_turn_without_a_newline(chat):
    rendered = render(chat, tiny.row("hello", "yes"))
    taught = [token for token, mine in zip(rendered.input_ids, rendered.completion_mask, strict=True) if mine]
    assert chat.tokenizer.decode(taught) == "yes<|im_end|>"
    assert taught[-1] == chat.end


def test_the_prompt_is_what_the_template_renders(chat):
    row = tiny.row("hello", "yes")
    expected = chat.tokenizer.apply_chat_template(list(row.messages), add_generation_prompt=True)["input_ids"]
    assert render_prompt(chat, row.messages) == expected
    rendered = render(chat, row)
    assert list(rendered.input_ids[: len(expected)]) == expected
    assert not any(rendered.completion_mask[: len(expected)]) and all(rendered.completion_mask[len(expected) :])


def test_the_template_adds_its_own_system_prompt(chat):
    prompt = render_prompt(chat, [{"role": "user", "content": "hello"}])
    assert chat.tokenizer.decode(prompt).startswith("<|im_start|>system\nHelp.<|im_end|>")


def test_text_parts_render_as_their_text(chat):
    parts = [{"type": "text", "text": "hello"}, {"type": "text", "text": "again"}]
    assert render_prompt(chat, [{"role": "user", "content": parts}]) == render_prompt(
        chat, [{"role": "user", "content": "hello\nagain"}]
    )


def test_an_end_of_turn_in_the_prompt_is_not_taught(chat):
    row = TrainingRow("x", ({"role": "user", "content": "a"},), "b", "stop")
    rendered = render(chat, row)
    ends = [mine for token, mine in zip(rendered.input_ids, rendered.completion_mask, strict=True) if token == chat.end]
    assert ends == [False, False, True]


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("said", ["Sort.", [{"type": "text", "text": "Sort."}], "Sort!"])
def test_a_compact_prompt_is_taught_token_for_token_as_the_gateway_asks_it(chat, role, said):
    messages = [{"role": role, "content": said}, {"role": "user", "content": "hello"}]
    asked = parse_chat(orjson.dumps({"model": "m", "messages": messages})).without("Sort.").spoken
    taught = render(replace(chat, unsaid="Sort."), TrainingRow("x", as_student_reads(messages), "yes", "stop"))
    prompt = [token for token, mine in zip(taught.input_ids, taught.completion_mask, strict=True) if not mine]
    assert prompt == render_prompt(chat, asked)
    turn = "Sort!" if said == "Sort!" else ""
    assert chat.tokenizer.decode(prompt).startswith(f"<|im_start|>system\n{turn}<|im_end|>\n<|im_start|>user\nhello")
