import json

import pytest
import torch
from huggingface_hub.utils import _telemetry
from peft import PeftModel
from safetensors.torch import load_file

from distill.checkpoints import FOLDER
from distill.pattern import Pair
from distill.preference import rendered_pair
from distill.render import render_pair
from distill.student import collate, completion_logprobs, load_base
from distill.train import TrainConfig, TrainError, train
from tests.distill import tiny

OTHER = {"yes": "no", "no": "yes"}


def pairs(count):
    return [Pair(row.exchange_id, row.messages, row.completion, OTHER[row.completion]) for row in tiny.rows(count)]


def run(base, out, *, found, rows=None, validation=(), progress=lambda at: None, **settings):
    values = {"learning_rate": 1e-2, "epochs": 2, "batch_size": 8, "max_tokens": 128} | settings
    config = TrainConfig(base, **values)
    return train(rows or tiny.rows(32), validation, config=config, out=out, progress=progress, pairs=found)


def weights(out):
    return load_file(out / "adapter_model.safetensors")


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def margin(base, out, found):
    """Mean of log p(chosen) - log p(rejected), nats."""
    model = PeftModel.from_pretrained(load_base(base), out)
    total = 0.0
    for pair in found:
        for text, sign in ((pair.chosen, 1.0), (pair.rejected, -1.0)):
            batch = collate([render_pair(tiny.chat(), pair.messages, text)])
            with torch.no_grad():
                total += sign * completion_logprobs(model, batch).sum().item()
    return total / len(found)


def test_wrong_answers_widen_the_margin_beyond_what_the_right_ones_do(base, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.preference.GENTLER", 0.1)  # four steps are few
    found = pairs(32)
    answers = run(base, tmp_path / "a", found=())
    preferred = run(base, tmp_path / "b", found=found)
    monkeypatch.setattr("distill.preference.WEIGHTS", {"sft": 1.0})
    run(base, tmp_path / "c", found=found)
    first, wrong_too, right_again = (margin(base, tmp_path / name, found) for name in "abc")
    assert wrong_too > right_again + 0.1 and wrong_too > first + 0.1
    assert answers.preferred is None and preferred.train_loss == answers.train_loss
    assert (preferred.preferred.pairs, preferred.preferred.steps, preferred.preferred.kept) == (32, 4, True)


def test_the_folder_is_the_adapter_alone(base, tmp_path):
    run(base, tmp_path / "a", found=pairs(8))
    assert sorted(file.name for file in (tmp_path / "a").rglob("*")) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert json.loads((tmp_path / "a/adapter_config.json").read_text())["base_model_name_or_path"] == base


def test_the_seed_decides(base, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(base, tmp_path / name, found=pairs(16), seed=seed)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_pairs_that_make_validation_worse_are_given_up(base, tmp_path):
    wrong = [Pair(pair.exchange_id, pair.messages, pair.rejected, pair.chosen) for pair in pairs(32)]
    settings = {"rows": tiny.rows(64), "validation": tiny.rows(16), "learning_rate": 2e-2, "epochs": 4}
    run(base, tmp_path / "a", found=(), **settings)
    report = run(base, tmp_path / "b", found=wrong, **settings)
    assert report.preferred.validation_losses[0] > min(report.validation_losses)
    assert not report.preferred.kept and "given up" in report.preferred.in_words()
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_the_second_lesson_begins_from_the_best_epoch_of_the_first(base, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.preference.GENTLER", 0.0)
    swapped = [tiny.row(row.variable_text, OTHER[row.completion]) for row in tiny.rows(8)]
    settings = {"rows": tiny.rows(64), "validation": swapped, "epochs": 8, "learning_rate": 2e-2}
    report = run(base, tmp_path / "a", found=pairs(8), **settings)
    best = min(report.validation_losses)
    assert report.validation_losses[-1] > best  # the last epoch is not the best
    assert report.preferred.validation_losses == (pytest.approx(best, rel=1e-5),)
    run(base, tmp_path / "b", found=(), **settings)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_progress_tells_both_lessons_to_their_ends(base, tmp_path):
    seen = []
    run(base, tmp_path / "a", found=pairs(16), progress=seen.append)
    assert [(at.of, at.step, at.steps) for at in seen if at.of == "pairs"] == [("pairs", 1, 2), ("pairs", 2, 2)]
    assert [at.of for at in seen] == ["rows"] * 8 + ["pairs"] * 2
    assert seen[-2].eta_s > 0 and seen[-1].eta_s == 0


def test_pairs_that_are_too_long_are_left_out_and_counted(base, tmp_path):
    long = Pair("l", tiny.row("a", "yes").messages, "yes", "no" * 100)
    report = run(base, tmp_path / "a", found=[*pairs(8), long])
    assert (report.preferred.pairs, report.preferred.too_long, report.rows_too_long) == (8, 1, 0)
    none = run(base, tmp_path / "b", found=[long])
    assert (none.preferred.pairs, none.preferred.too_long, none.preferred.kept) == (0, 1, False)
    assert "none of 1 pairs" in none.preferred.in_words()
    run(base, tmp_path / "c", found=())
    assert same(weights(tmp_path / "b"), weights(tmp_path / "c"))


def test_the_digest_covers_the_pairs(base, tmp_path):
    digests = {run(base, tmp_path / str(n), found=pairs(n), epochs=1).dataset_digest for n in (0, 1, 2)}
    assert len(digests) == 3


def test_a_lesson_that_is_interrupted_leaves_no_adapter(base, tmp_path):
    def interrupt(at):
        if at.of == "pairs":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(base, tmp_path / "a", found=pairs(8), progress=interrupt)
    assert [each.name for each in tmp_path.iterdir()] == [FOLDER]


def test_divergence_is_an_error(base, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.preference.BETA", float("nan"))
    with pytest.raises(TrainError, match="learning rate"):
        run(base, tmp_path / "a", found=pairs(8))
    assert not list(tmp_path.iterdir())


def test_it_is_quiet_and_calls_nobody(base, tmp_path, capfd):
    run(base, tmp_path / "a", found=pairs(8), validation=tiny.rows(4))
    assert capfd.readouterr() == ("", "")
    assert _telemetry._TELEMETRY_THREAD is None


def test_answers_are_rendered_as_the_engine_produces_them():
    row, chat = tiny.row("a", "yes"), tiny.chat()
    made = rendered_pair(chat, Pair("x", row.messages, "yes", "maybe"))
    assert chat.tokenizer.decode(made.prompt_ids).endswith("assistant\n")
    assert chat.tokenizer.decode(made.chosen_ids) == "yes<|im_end|>"
    assert chat.tokenizer.decode(made.rejected_ids) == "maybe<|im_end|>"
    assert len(made) == len(made.prompt_ids) + 6
