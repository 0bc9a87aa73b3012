"""Rationales as second targets: what is taught with them, how much they count, and that nothing else changes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file

import distill.trainer
from distill.reasoning import (
    QUESTION,
    WEIGHT,
    collate_examples,
    divisor,
    examples,
    reasons,
    short_enough,
    targets_of,
    with_question,
)
from distill.render import Rendered, render, render_pair, render_prompt
from distill.student import collate, completion_logprobs, load_base, token_weights
from distill.train import TrainConfig, train
from tests.distill import tiny

TOKENS = 256


def reasoned(count, *, every=1):
    """Rows of which the teacher's reason is known, of every so many."""
    return [
        replace(row, rationale=f"it begins with {row.variable_text[0]}") if n % every == 0 else row
        for n, row in enumerate(tiny.rows(count))
    ]


def bare(rows):
    return [replace(row, rationale=None) for row in rows]


def run(base, out, rows, *, validation=(), **settings):
    values = {"learning_rate": 1e-2, "epochs": 1, "batch_size": 8, "max_tokens": TOKENS} | settings
    return train(rows, validation, config=TrainConfig(base, **values), out=out, progress=lambda at: None)


def found(rows, *, max_tokens=TOKENS):
    return reasons(tiny.chat(), rows, [render(tiny.chat(), row) for row in rows], max_tokens=max_tokens)


def weights(out):
    return load_file(out / "adapter_model.safetensors")


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def loss_of_reasons(model, rows):
    made = [render_pair(tiny.chat(), with_question(row.messages), row.rationale) for row in rows]
    with torch.no_grad():
        return -completion_logprobs(model, collate(made)).mean().item()


def loss_of_answers(model, rows):
    with torch.no_grad():
        return -completion_logprobs(model, collate([render(tiny.chat(), row) for row in rows])).mean().item()


def test_the_rationale_answers_a_question_of_its_own_and_what_is_served_stays_as_it_is():
    row, chat = reasoned(1)[0], tiny.chat()
    (target,) = found([row]).targets
    text = chat.tokenizer.decode(target.input_ids)
    assert text.endswith(f"\n\n{QUESTION}<|im_end|>\n<|im_start|>assistant\nit begins with a<|im_end|>")
    assert text.startswith("<|im_start|>system\nSort.<|im_end|>\n<|im_start|>user\na ")
    begins = target.completion_mask.index(True)
    assert all(target.completion_mask[begins:])
    assert chat.tokenizer.decode(target.input_ids[begins:]) == "it begins with a<|im_end|>"
    assert render(chat, row) == render(chat, bare([row])[0])
    assert list(render(chat, row).input_ids[: len(render_prompt(chat, row.messages))]) == render_prompt(
        chat, row.messages
    )


@pytest.mark.parametrize(
    ("messages", "last"),
    [
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "a\nb"),
        (
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "b"}],
            "b",
        ),
        ([{"role": "system", "content": "b"}], "b"),
    ],
)
def test_the_last_thing_said_by_the_user_asks_for_it(messages, last):
    asked = with_question(messages)
    assert asked[-1]["content"] == f"{last}\n\n{QUESTION}" and asked[:-1] == messages[:-1]
    assert QUESTION not in str(messages)


def test_an_answer_that_follows_the_user_stays_behind_the_question():
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}]
    assert with_question(said) == [{"role": "user", "content": f"a\n\n{QUESTION}"}, said[1]]


def test_with_a_compact_prompt_the_instruction_is_unsaid_there_too():
    (row,), chat = reasoned(1), replace(tiny.chat(), unsaid=tiny.SYSTEM)
    (target,) = reasons(chat, [row], [render(chat, row)], max_tokens=TOKENS).targets
    assert "Sort." not in chat.tokenizer.decode(target.input_ids)


def rendered(prompt, completion, *, weight=1.0, share=1.0):
    ids = tuple(range(prompt + completion))
    return Rendered(ids, (False,) * prompt + (True,) * completion, weight, share)


few = settings(max_examples=30, deadline=None)
ROWS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 30), st.booleans(), st.sampled_from([0.25, 1.0, 3.0])),
    min_size=1,
    max_size=9,
)


def taught(rows):
    """Examples of answers of so many tokens beside rationales of so many, or none, with the shares of training."""
    answers = [rendered(2, answer, weight=weight) for answer, _, _, weight in rows]
    second = [
        rendered(3, reason, weight=weight, share=WEIGHT * answer / reason) if told else None
        for answer, reason, told, weight in rows
    ]
    return list(examples(answers, second))


@few
@given(ROWS)
def test_a_rationale_counts_as_much_as_its_answer_however_long_both_are(rows):
    for example, (answer, _, told, weight) in zip(taught(rows), rows, strict=True):
        mass = [token_weights(each).sum().item() for each in targets_of(collate_examples([example]))]
        assert mass == pytest.approx([weight * answer, WEIGHT * weight * answer] if told else [weight * answer])


@few
@given(ROWS, st.integers(1, 9))
def test_a_step_in_turns_has_the_sums_of_one_at_once_and_a_loss_as_large_as_its_tokens(rows, turns):
    made = taught(rows)
    whole = collate_examples(made)
    parts = [collate_examples(made[i : i + turns]) for i in range(0, len(made), turns)]
    assert divisor(parts).item() == pytest.approx(divisor([whole]).item(), rel=1e-5)
    mass = [
        sum(token_weights(each).sum().item() for part in some for each in targets_of(part)) for some in (parts, [whole])
    ]
    assert mass[0] == pytest.approx(mass[1], rel=1e-5)
    if len({weight for *_, weight in rows}) == 1:  # rows that count alike: a mean, of whatever
        assert mass[0] == pytest.approx(rows[0][-1] * divisor([whole]).item(), rel=1e-5)


@few
@given(ROWS)
def test_without_rationales_it_is_divided_by_the_number_of_tokens(rows):
    answers = [rendered(2, answer, weight=weight) for answer, _, _, weight in rows]
    batch = collate_examples(list(examples(answers, [None] * len(answers))))
    assert targets_of(batch) == [batch]
    assert divisor([batch]).item() == sum(answer for answer, *_ in rows)


def test_shares_of_real_rows_are_those(base):
    rows = [replace(row, weight=1.0 + n) for n, row in enumerate(reasoned(4))]
    for target, row in zip(found(rows).targets, rows, strict=True):
        answer = render(tiny.chat(), row)
        assert target.weight == row.weight
        assert target.share * sum(target.completion_mask) == pytest.approx(WEIGHT * sum(answer.completion_mask))


def test_the_reasons_are_learned_and_the_answers_as_well(base, tmp_path):
    rows = reasoned(64)
    report = run(base, tmp_path / "reasons", rows, epochs=4, learning_rate=2e-2)
    run(base, tmp_path / "answers", bare(rows), epochs=4, learning_rate=2e-2)
    with_them, without = (
        PeftModel.from_pretrained(load_base(base), tmp_path / name) for name in ("reasons", "answers")
    )
    assert loss_of_reasons(with_them, rows[:16]) < 0.5 * loss_of_reasons(without, rows[:16])
    assert loss_of_answers(with_them, rows[:16]) < 0.5 * loss_of_answers(load_base(base), rows[:16])
    assert (report.rows, report.steps, report.rows_too_long) == (64, 32, 0)
    tokens = 64 * (len("it begins with a") + 1)
    assert (report.reasoned.rationales, report.reasoned.tokens, report.reasoned.too_long) == (64, tokens, 0)
    assert report.reasoned.in_words() == "64 rationales taught"
    assert sorted(file.name for file in (tmp_path / "reasons").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_answers_alone_validate(base, tmp_path):
    rows, held = reasoned(16), reasoned(8)
    with_them = run(base, tmp_path / "a", rows, validation=held)
    without = run(base, tmp_path / "b", rows, validation=bare(held))
    assert with_them.validation_losses == without.validation_losses and same(
        weights(tmp_path / "a"), weights(tmp_path / "b")
    )
    model = PeftModel.from_pretrained(load_base(base), tmp_path / "a")
    assert with_them.validation_losses == (pytest.approx(loss_of_answers(model, held), rel=1e-4),)


@pytest.mark.parametrize("every", [1, 3])
def test_a_batch_computed_in_turns_teaches_the_same(base, tmp_path, monkeypatch, *, every):
    rows = reasoned(16, every=every)
    at_once = run(base, tmp_path / "whole", rows)
    monkeypatch.setattr(distill.trainer, "TOKENS_AT_ONCE", 500)
    in_turns = run(base, tmp_path / "turns", rows)
    assert (in_turns.steps, in_turns.train_loss) == (at_once.steps, pytest.approx(at_once.train_loss, rel=1e-3))
    whole, turns = weights(tmp_path / "whole"), weights(tmp_path / "turns")
    assert not same(whole, turns)  # it was computed otherwise
    for name in whole:
        torch.testing.assert_close(turns[name], whole[name], atol=2e-3, rtol=0)


def test_the_seed_decides(base, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(base, tmp_path / name, reasoned(16, every=2), seed=seed)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b")) and not same(
        weights(tmp_path / "a"), weights(tmp_path / "c")
    )


def test_those_that_are_too_long_are_left_out_and_counted_and_their_rows_teach_answers(base, tmp_path):
    rows = reasoned(16, every=2)
    long = [replace(row, rationale="b" * TOKENS) if row.rationale and n < 6 else row for n, row in enumerate(rows)]
    report = run(base, tmp_path / "a", long)
    assert (report.rows, report.reasoned.rationales, report.reasoned.too_long, report.rows_too_long) == (16, 5, 3, 0)
    assert report.reasoned.in_words() == "5 rationales taught, 3 were too long"
    none = run(base, tmp_path / "b", [replace(row, rationale="b" * TOKENS) for row in rows])
    assert (none.reasoned.rationales, none.reasoned.too_long) == (0, 16)
    plain = run(base, tmp_path / "c", bare(rows))
    assert plain.reasoned is None and plain.dataset_digest == none.dataset_digest
    assert same(weights(tmp_path / "b"), weights(tmp_path / "c"))


def test_short_enough_is_what_training_takes():
    rows = [replace(row, rationale="b" * (2 * n)) for n, row in enumerate(tiny.rows(TOKENS // 2), start=1)]
    short = short_enough(tiny.chat(), [*rows, *tiny.rows(1)], max_tokens=TOKENS)
    taken = [target is not None for target in found(rows).targets]
    assert [row.rationale is not None for row in short] == [*taken, False] and 0 < sum(taken) < len(rows)
    assert bare(short) == bare([*rows, *tiny.rows(1)])


def test_a_request_that_the_student_cannot_read_is_left_to_training_which_counts_it():
    picture = replace(reasoned(1)[0], messages=({"role": "user", "content": [{"type": "image_url"}]},))
    assert short_enough(tiny.chat(), [picture], max_tokens=TOKENS) == (picture,)


def test_the_digest_covers_what_was_taught(base, tmp_path):
    kinds = [
        tiny.rows(8),
        reasoned(8, every=2),
        reasoned(8),
        [replace(row, rationale="no reason") for row in tiny.rows(8)],
    ]
    digests = {run(base, tmp_path / str(n), rows).dataset_digest for n, rows in enumerate(kinds)}
    assert len(digests) == len(kinds)
