"""Wherever an adapter in force is loaded it says what it said when it was probed, or its name is unknown there."""

import json

import pytest

from distill.adapters import AdapterError, EngineDown
from distill.recital import NOTED, apart, beginnings, distance, load_heard, note
from tests.distill.test_adapters import FakeEngine
from tests.distill.test_fleet import Fleet

NAME, TOKENS = "task--v000001", list(range(100))


@pytest.fixture
def fleet(monkeypatch):
    return Fleet(monkeypatch, "10.0.0.1", "10.0.0.2")


@pytest.fixture
def folder(fleet, tmp_path):
    """An adapter that was loaded, probed and noted, on engines that have been started again since."""
    (tmp_path / "a").mkdir()
    fleet.server.load(NAME, tmp_path / "a")
    note(fleet.server, NAME, tmp_path / "a", tokens=TOKENS)
    for address in fleet.engines:
        fleet.engines[address] = FakeEngine()
    return tmp_path / "a"


def names(engine):
    """What it was asked, but for its base model."""
    return [name for name in engine.asked if name != "base"]


def test_it_is_heard_under_another_name_on_every_engine_before_it_has_its_own(fleet, folder):
    load_heard(fleet.server, NAME, folder)
    for engine in fleet.engines.values():
        assert engine.folders == {NAME: str(folder)}
        (asked,) = names(engine)
        assert asked.startswith(f"{NAME}--heard-")


def test_an_engine_that_serves_the_base_model_never_has_the_name_and_is_named(fleet, folder):
    fleet.engines["10.0.0.2"] = broken = FakeEngine(ignores=True)
    with pytest.raises(
        AdapterError, match=r"1 of 2 engines failed: http://10\.0\.0\.2:8000: .* is the adapter applied"
    ):
        load_heard(fleet.server, NAME, folder)
    assert broken.folders == {} and NAME not in broken.asked
    assert fleet.engines["10.0.0.1"].folders == {NAME: str(folder)}


def test_another_adapter_in_its_place_is_found_out(fleet, folder, tmp_path):
    """An engine elsewhere reads a folder of its own, whatever was verified here."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / NOTED).write_text((folder / NOTED).read_text())
    with pytest.raises(AdapterError, match=r"4\.00 nats from the adapter's"):
        load_heard(fleet.server, NAME, tmp_path / "other")


def test_what_was_loaded_unheard_is_heard_once_by_each_process_and_taken_out_where_it_is_not_served(fleet, folder):
    fleet.engines["10.0.0.2"] = broken = FakeEngine(ignores=True)
    fleet.server.load(NAME, folder)
    checked = set()
    with pytest.raises(AdapterError, match=r"10\.0\.0\.2"):
        load_heard(fleet.server, NAME, folder, checked=checked)
    assert broken.folders == {} and checked == {("http://10.0.0.1:8000", NAME)}
    fleet.engines["10.0.0.2"] = FakeEngine()
    for _ in range(2):
        load_heard(fleet.server, NAME, folder, checked=checked)
    assert names(fleet.engines["10.0.0.1"]) == [NAME] and len(names(fleet.engines["10.0.0.2"])) == 1


def test_one_that_was_started_again_is_heard_again(fleet, folder):
    checked = set()
    load_heard(fleet.server, NAME, folder, checked=checked)
    fleet.engines["10.0.0.1"] = FakeEngine(ignores=True)
    with pytest.raises(AdapterError, match=r"10\.0\.0\.1"):
        load_heard(fleet.server, NAME, folder, checked=checked)
    assert checked == {("http://10.0.0.2:8000", NAME)}


def test_an_engine_that_is_down_keeps_none_from_loading(fleet, folder):
    fleet.engines["10.0.0.1"].down = True
    with pytest.raises(EngineDown, match=r"10\.0\.0\.1"):
        load_heard(fleet.server, NAME, folder)
    assert fleet.engines["10.0.0.2"].folders == {NAME: str(folder)}


def test_an_adapter_without_a_note_has_to_differ_from_the_base_model(fleet, folder):
    (folder / NOTED).unlink()
    load_heard(fleet.server, NAME, folder)
    fleet.engines["10.0.0.1"] = FakeEngine(ignores=True)
    with pytest.raises(AdapterError, match="cannot be told from the base model"):
        load_heard(fleet.server, NAME, folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"tokens": [1]}', '{"tokens": "x", "said": [["a", 1]]}'])
def test_a_note_that_cannot_be_read_is_no_pass(fleet, folder, text):
    (folder / NOTED).write_text(text)
    with pytest.raises(AdapterError, match=r"recital\.json cannot be read"):
        load_heard(fleet.server, NAME, folder)


def test_a_note_of_other_tokens_is_no_pass(fleet, folder):
    noted = json.loads((folder / NOTED).read_text())
    (folder / NOTED).write_text(json.dumps({**noted, "said": noted["said"][1:]}))
    with pytest.raises(AdapterError, match="from 16 places where 15 were noted"):
        load_heard(fleet.server, NAME, folder)


def test_engines_that_say_different_things_are_told_when_it_is_noted(fleet, tmp_path):
    fleet.engines["10.0.0.2"].ignores = True
    fleet.server.load(NAME, tmp_path)
    with pytest.raises(AdapterError, match=r"1 of 2 engines failed: http://10\.0\.0\.2"):
        note(fleet.server, NAME, tmp_path, tokens=TOKENS)


@pytest.mark.parametrize(("text", "lengths"), [("abc", [1, 2, 3]), (list(range(32)), [*range(2, 33, 2)]), ("", [])])
def test_a_text_is_gone_on_from_at_its_beginnings(text, lengths):
    assert [len(each) for each in beginnings(text)] == (lengths or [0])
    assert beginnings(text)[-1] == text


@pytest.mark.parametrize(
    ("told", "nats"),
    [({"a": -1.0, "b": -2.0}, 0.0), ({"a": -3.0, "b": -0.1}, 2.0), ({"b": -0.1, "c": -4.0}, 3.0)],
)
def test_the_distance_is_that_of_what_was_said(told, nats):
    """What is not among the likeliest is at least as unlikely as the last of them."""
    assert distance([("a", -1.0)] * 2, [{"a": -1.0}, told]) == pytest.approx(nats / 2)


@pytest.mark.parametrize(
    ("to_adapter", "to_base", "words"),
    [
        (0.1, 1.5, None),
        (0.3, 9.0, "nats from the adapter's"),
        (0.1, 0.15, "cannot be told"),
        (float("nan"), 9.0, "nats from the adapter's"),
        (0.1, float("nan"), "cannot be told"),
    ],
)
def test_what_passes(to_adapter, to_base, words):
    found = apart(to_adapter, to_base)
    assert found is None if words is None else words in found
