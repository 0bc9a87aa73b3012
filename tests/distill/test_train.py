import json
import logging
import math
import warnings
from dataclasses import replace

import pytest
import torch
from huggingface_hub.utils import _telemetry
from peft import PeftModel
from safetensors.torch import load_file

import distill.trainer
from distill.adapters import check_compatible
from distill.best import TrainProgress
from distill.render import render
from distill.rows import Targets
from distill.student import collate, completion_logprobs, load_base
from distill.train import TrainConfig, TrainError, train
from distill.trainer import rows_at_once
from tests.distill import tiny


def silent(at):
    pass


def run(base, out, *, rows=None, validation=(), progress=silent, **settings):
    config = TrainConfig(base, **{"learning_rate": 1e-2, "epochs": 1, "batch_size": 8, "max_tokens": 128} | settings)
    return train(rows or tiny.rows(16), validation, config=config, out=out, progress=progress)


def loss_of(model, rows):
    with torch.no_grad():
        return -completion_logprobs(model, collate([render(tiny.chat(), row) for row in rows])).mean().item()


def test_training_lowers_the_loss_of_the_saved_adapter(base, trained):
    out, report = trained
    rows = tiny.rows(16)
    before = loss_of(load_base(base), rows)
    after = loss_of(PeftModel.from_pretrained(load_base(base), out), rows)
    assert after < 0.5 * before
    assert after == pytest.approx(min(report.validation_losses), rel=1e-4)


def test_the_folder_is_a_plain_lora_of_all_linear_layers(base, trained):
    out, _ = trained
    assert sorted(file.name for file in out.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base
    modules = {name.rpartition(".")[2] for name in config["target_modules"]}
    assert modules == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    check_compatible(out, base_model=base)
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_the_report_counts(trained):
    _, report = trained
    assert (report.rows, report.epochs, report.steps, report.rows_too_long) == (64, 4, 32, 0)
    assert len(report.validation_losses) == 4
    assert report.rows_per_second == pytest.approx(256 / report.seconds)


def test_the_seed_decides(base, tmp_path):
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(base, tmp_path / name, seed=seed)
        weights.append(load_file(tmp_path / name / "adapter_model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_a_batch_computed_in_turns_teaches_the_same(base, tmp_path, monkeypatch):
    at_once = run(base, tmp_path / "whole")
    monkeypatch.setattr(distill.trainer, "TOKENS_AT_ONCE", 100)
    in_turns = run(base, tmp_path / "turns")
    assert (in_turns.steps, in_turns.train_loss) == (at_once.steps, pytest.approx(at_once.train_loss, rel=1e-3))
    whole, turns = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "turns"))
    for name in whole:
        torch.testing.assert_close(turns[name], whole[name], atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("longest", "common", "rows"),
    [(500, 0, 8), (600, 0, 4), (580, 100, 8), (5000, 0, 1), (3000, 2900, 2), (1000, 900, 8)],
)
def test_what_is_read_once_is_counted_once_and_its_copies_a_little(longest, common, rows):
    assert rows_at_once(8, longest=longest, common=common) == rows


def test_the_row_that_counts_more_is_learned_and_by_how_much_all_count_is_nothing(base, tmp_path):
    said = [(tiny.row("hello", "yes"), tiny.row("hello", "no"))] * 8
    found = {}
    for name, weights in (("even", (1.0, 1.0)), ("triple", (3.0, 3.0)), ("yes", (9.0, 1.0)), ("no", (1.0, 9.0))):
        rows = [replace(row, weight=weight) for pair in said for row, weight in zip(pair, weights, strict=True)]
        run(base, tmp_path / name, rows=rows, epochs=4)
        model = PeftModel.from_pretrained(load_base(base), tmp_path / name).eval()
        found[name] = loss_of(model, [said[0][1]]) - loss_of(model, [said[0][0]])
    assert found["triple"] == found["even"]
    assert found["no"] < found["even"] - 0.1 and found["even"] + 0.1 < found["yes"]


def told(row, *, yes, k=256):
    """A teacher that says `row`'s answer, and of its first letter how probable "y" is."""
    ids = [tiny.tokenizer().convert_tokens_to_ids(letter) for letter in "yn"]
    first = [math.log(yes), math.log(1 - yes)]
    return replace(row, targets=Targets.of([ids[:k]], [first[:k]], length=len(row.completion) + 1))


def probability_of_yes(base, folder):
    batch = collate([render(tiny.chat(), tiny.row("hello", "yes"))])
    with torch.no_grad():
        return completion_logprobs(PeftModel.from_pretrained(load_base(base), folder).eval(), batch)[0].exp().item()


def test_a_teachers_doubt_is_learned_with_its_answer(base, tmp_path, monkeypatch):
    """All say yes; the teacher thought no in three of four cases."""
    monkeypatch.setattr("distill.logit.WEIGHT", 0.9)
    said = [tiny.row("hello", "yes", id=str(n)) for n in range(16)]
    plain = run(base, tmp_path / "plain", rows=said, epochs=8)
    doubting = run(base, tmp_path / "doubting", rows=[told(row, yes=0.25) for row in said], epochs=8)
    assert (plain.rows_with_targets, doubting.rows_with_targets) == (0, 16)
    assert probability_of_yes(base, tmp_path / "plain") > 0.8
    assert 0.1 < probability_of_yes(base, tmp_path / "doubting") < 0.5  # it is best at 0.1 + 0.9 * 0.25


def test_targets_count_in_the_digest_and_rows_without_learn_as_ever(base, tmp_path):
    rows = tiny.rows(16)
    some = [told(rows[0], yes=0.5), *rows[1:]]
    found = {
        name: run(base, tmp_path / name, rows=taught, validation=tiny.rows(4))
        for name, taught in (("none", rows), ("one", some), ("other", [told(rows[0], yes=0.6), *rows[1:]]))
    }
    assert len({report.dataset_digest for report in found.values()}) == 3
    assert (found["one"].rows_with_targets, found["one"].rows) == (1, 16)
    weights = {name: load_file(tmp_path / name / "adapter_model.safetensors") for name in ("none", "one")}
    assert any(not torch.equal(weights["none"][name], weights["one"][name]) for name in weights["none"])


def test_targets_reach_their_own_rows_in_whatever_turns_a_batch_is_computed(base, tmp_path, monkeypatch):
    rows = [told(row, yes=0.9 if row.completion == "yes" else 0.2) for row in tiny.rows(16)]
    at_once = run(base, tmp_path / "whole", rows=rows)
    monkeypatch.setattr(distill.trainer, "TOKENS_AT_ONCE", 100)
    in_turns = run(base, tmp_path / "turns", rows=rows)
    assert in_turns.train_loss == pytest.approx(at_once.train_loss, rel=1e-3)


def test_rows_with_both_teach_both_in_whatever_turns(base, tmp_path, monkeypatch):
    """No pattern gives a row both; whoever does gets both."""
    some = [told(row, yes=0.9) if n % 3 else row for n, row in enumerate(tiny.rows(16))]
    both = [replace(row, rationale="because it is so") if n % 2 else row for n, row in enumerate(some)]
    reports = [run(base, tmp_path / str(n), rows=rows) for n, rows in enumerate((tiny.rows(16), some, both))]
    assert len({report.dataset_digest for report in reports}) == len({report.train_loss for report in reports}) == 3
    assert (reports[-1].rows_with_targets, reports[-1].reasoned.rationales) == (10, 8)
    monkeypatch.setattr(distill.trainer, "TOKENS_AT_ONCE", 200)
    in_turns = run(base, tmp_path / "turns", rows=both)
    assert in_turns.train_loss == pytest.approx(reports[-1].train_loss, rel=1e-3)


def test_an_adapter_goes_on_from_another_one(base, trained, tmp_path):
    rows, folder = tiny.rows(64), trained[0]
    went_on = run(base, tmp_path / "on", rows=rows, start=folder)
    anew = run(base, tmp_path / "anew", rows=rows)
    assert went_on.train_loss < anew.train_loss / 2
    check_compatible(tmp_path / "on", base_model=base)
    before, after = (load_file(each / "adapter_model.safetensors") for each in (folder, tmp_path / "on"))
    assert before.keys() == after.keys() and all(not torch.equal(before[name], after[name]) for name in before)


def test_the_best_epoch_is_kept_and_training_stops_after_a_worse_one(base, tmp_path):
    swapped = [tiny.row(row.variable_text, "no" if row.completion == "yes" else "yes") for row in tiny.rows(8)]
    report = run(base, tmp_path / "a", rows=tiny.rows(64), validation=swapped, epochs=8, learning_rate=2e-2)
    *better, last = report.validation_losses
    assert report.epochs == len(report.validation_losses) < 8
    assert better == sorted(better, reverse=True) and last > better[-1]
    kept = loss_of(PeftModel.from_pretrained(load_base(base), tmp_path / "a"), swapped)
    assert kept == pytest.approx(better[-1], rel=1e-4)


def test_progress_counts_up_to_the_end(base, tmp_path):
    seen: list[TrainProgress] = []
    report = run(base, tmp_path / "a", progress=seen.append)
    assert [(at.step, at.steps) for at in seen] == [(1, 2), (2, 2)]
    assert seen[-1].eta_s == 0 and seen[0].eta_s > 0
    assert report.train_loss == pytest.approx(sum(at.loss for at in seen) / 2, rel=1e-3)


def test_rows_that_are_too_long_are_left_out_and_counted(base, tmp_path):
    rows = [*tiny.rows(8), tiny.row("x" * 200, "yes")]
    report = run(base, tmp_path / "a", rows=rows, validation=rows)
    assert (report.rows, report.rows_too_long) == (8, 2)
    assert report.dataset_digest == run(base, tmp_path / "b", rows=rows[:8]).dataset_digest
    with pytest.raises(TrainError, match="none of 1 rows"):
        run(base, tmp_path / "c", rows=rows[8:])


def test_the_digest_covers_what_was_taught(base, tmp_path):
    rows = tiny.rows(8)
    changed = [*rows[:-1], tiny.row(rows[-1].variable_text, "maybe", id=rows[-1].exchange_id)]
    digests = {run(base, tmp_path / name, rows=taught).dataset_digest for name, taught in (("a", rows), ("b", changed))}
    assert len(digests) == 2


def test_an_adapter_is_never_overwritten_and_an_interrupted_run_leaves_none(base, tmp_path):
    def interrupt(at):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(base, tmp_path / "a", progress=interrupt)
    assert not (tmp_path / "a").exists()
    run(base, tmp_path / "a")
    with pytest.raises(FileExistsError):
        run(base, tmp_path / "a")


def test_divergence_is_an_error(base, tmp_path):
    with pytest.raises(TrainError, match="learning rate"):
        run(base, tmp_path / "a", learning_rate=1e30, epochs=4)
    assert not list(tmp_path.iterdir())


def test_it_is_quiet(base, tmp_path, capfd):
    run(base, tmp_path / "a", validation=tiny.rows(4))
    assert capfd.readouterr() == ("", "")


def test_it_warns_and_calls_nobody(base, tmp_path, caplog):
    with warnings.catch_warnings(action="error"), caplog.at_level(logging.WARNING):
        run(base, tmp_path / "a", validation=tiny.rows(4))
    assert not caplog.records
    assert _telemetry._TELEMETRY_THREAD is None
