"""The making of a student over a written log; training, vLLM and the gateway's drafts are scripted."""

import io
import json
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from rich.console import Console

from calibration.certificate import Certificate, Contract
from calibration.evidence import SHORT
from calibration.study import study
from distill import candidate as making
from distill import run as pipeline
from distill.gateway import GatewayUnavailable
from distill.probe import Probe
from distill.train import TrainReport
from ledger.prices import Price
from ledger.records import Draft, Usage
from tests.distill import tiny
from tests.tutelage.replay.lines import entry, label
from tutelage.progress import RunProgress
from tutelage.provision import Home
from tutelage.replay import student
from tutelage.replay.student import NoStudent, answer_room, make
from tutelage.replay.traffic import read
from tutelage.replay.workshop import CONTEXT_TOKENS, Workshop


@dataclass
class World:
    """What the scripted parts are asked."""

    folder: Path
    fails: Exception | None = None
    trained: int = 0
    stacks: int = 0
    asked: list = field(default_factory=list)

    def train(self, rows, validation, *, config, out, progress, pairs):
        assert not pairs  # a log has no drafts
        self.trained += 1
        self.taught = {row.exchange_id for row in (*rows, *validation)}
        out.mkdir(parents=True)
        (out / "adapter_config.json").write_text("{}")
        (out / "adapter_model.safetensors").write_bytes(b"weights")
        return TrainReport(len(rows), 2, 10, 1.0, 0.1, (0.1,), 100.0, "d", 0, 0)

    def drafts(self, requests, *, release, task, progress, revive):
        if self.fails:
            raise self.fails
        self.asked += requests
        evidence = dict.fromkeys(SHORT, 1.0)
        return [Draft(label(each["messages"][-1]["content"]), "stop", evidence, Usage(50, 2)) for each in requests]

    def running(self, *_, **__):
        self.stacks += 1
        return nullcontext()


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(tmp_path)

    class Server:
        def __init__(self, url):
            pass

        def load(self, name, path, *, patience_s):
            pass

        def engines(self):
            return []

    class Client:
        drafts = staticmethod(world.drafts)

        def __init__(self, url, *, api_key, bindings):
            pass

    monkeypatch.setattr(making, "train", world.train)
    monkeypatch.setattr(making, "check_compatible", lambda *_, **__: None)
    monkeypatch.setattr(making, "keep_recital", lambda *_, **__: None)
    monkeypatch.setattr(making, "probe", lambda *_, **__: Probe(0.0, 1.0, tokens=40, compared=8, prompts=8))
    monkeypatch.setattr(pipeline, "AdapterFleet", Server)
    monkeypatch.setattr(pipeline, "GatewayClient", Client)
    monkeypatch.setattr(Workshop, "running", world.running)
    return world


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("base"))


@pytest.fixture
def try_(tmp_path, base):
    """Make a student of a log's largest task."""

    def make_one(path, *, rows=5000, measure="exact", base_model=base):
        prices = {"teacher_price": Price(2.5e-6, 1e-5), "student_price": Price(2e-8, 5e-8)}
        shop = Workshop(tmp_path / "work", "gpt-4o", "section 3", base_model=base_model, measure=measure, **prices)
        log = read(path, rows=rows, skip_broken=False, now=1e12, progress=lambda *_: None)
        home = Home(tmp_path, tmp_path)
        return make(log, log.tasks[0], shop, home=home, progress=RunProgress(Console(file=io.StringIO())))

    return make_one


def test_the_older_part_teaches_and_the_newer_part_is_drafted_in_order(log, try_, world):
    trial = try_(log(900))
    assert 380 < trial.taught < 400 and len(trial.rows) == 108 + 360  # 12 % fit the score, 40 % lie behind the cut
    texts = [request["messages"][-1]["content"] for request in world.asked]
    assert texts == [entry(number)["request"]["messages"][-1]["content"] for number in range(433, 901)]
    assert not world.taught & {str(number) for number in range(433, 901)}
    assert all(request["stream"] is False for request in world.asked)
    assert {row.disagreement for row in trial.rows} == {0.0} and trial.rows[0].usage == Usage(50, 2)
    clusters = [row.cluster for row in trial.rows]
    (outcome,) = study([row.drafted() for row in trial.rows], [Contract(0.1, 0.05)], clusters=clusters).outcomes
    assert isinstance(outcome[1], Certificate)


def test_what_is_kept_holds_no_prompt_and_no_answer(log, try_, world):
    try_(log(300))
    (kept,) = (world.folder / "work").glob("replay-*.json")
    text = kept.read_text()
    assert "refund" not in text and entry(300)["request"]["messages"][-1]["content"][:8] not in text


def test_the_same_log_is_neither_trained_nor_drafted_again(log, try_, world):
    path = log(300)
    first = try_(path)
    assert try_(path) == first and (world.trained, world.stacks) == (1, 1)
    path.write_text(path.read_text() + "\n" + json.dumps(entry(301)))
    try_(path)
    assert (world.trained, world.stacks) == (2, 2)


def test_other_rules_of_evidence_make_another_student(log, try_, world):
    path = log(300)
    first = try_(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(student, "CODE", "another")
        assert try_(path).rows == first.rows and (world.trained, world.stacks) == (2, 2)


def test_another_model_in_the_same_folder_makes_another_student(log, try_, world):
    path, base = log(300), tiny.save(world.folder / "base")
    try_(path, base_model=base)
    tiny.save(world.folder / "base", seed=1)
    try_(path, base_model=base)
    assert (world.trained, world.stacks) == (2, 2)


def test_a_curation_that_chooses_otherwise_makes_another_student(log, try_, world):
    path = log(300)
    first, before = try_(path), student.divide

    def fewer(*given, **more):
        found = before(*given, **more)
        return replace(found, train=found.train[1:])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(student, "divide", fewer)
        assert try_(path).taught == first.taught - 1 and (world.trained, world.stacks) == (2, 2)


def test_another_measure_asks_the_finished_adapter_again(log, try_, world):
    path = log(300)
    try_(path)
    try_(path, measure="json")
    assert (world.trained, world.stacks) == (1, 2)


def test_what_teaches_is_chosen_by_the_measure_as_in_a_run(log, try_, world):
    path = log(300)
    lines = path.read_text().splitlines()
    for place, said in ((10, '{"a": 1, "b": 2}'), (11, '{"b": 2, "a": 1}')):  # one request, in the older part
        line = json.loads(lines[place])
        line["request"] = json.loads(lines[10])["request"]
        line["response"]["choices"][0]["message"]["content"] = said
        lines[place] = json.dumps(line)
    path.write_text("\n".join(lines))
    assert try_(path).rejected == {"conflicting labels": 2}
    assert try_(path, measure="json").rejected == {"near-duplicate": 1} and "11" in world.taught


def test_a_run_that_failed_goes_on_with_its_finished_adapter_unless_it_was_altered(log, try_, world):
    path = log(300)
    world.fails = GatewayUnavailable("the engine is down")
    with pytest.raises(GatewayUnavailable):
        try_(path)
    world.fails = None
    try_(path)
    assert world.trained == 1
    (weights,) = (world.folder / "work").glob("adapters/*/adapter_model.safetensors")
    weights.write_bytes(b"others")
    try_(path, measure="json")
    assert world.trained == 2


def test_rows_that_a_student_cannot_hold_are_not_drafted_and_count_against_it(log, try_, world):
    long = entry(500)
    long["request"]["messages"][-1]["content"] = "word " * CONTEXT_TOKENS
    trial = try_(log(400, more=[long]))
    assert trial.too_long == 1 and len(world.asked) == len(trial.rows) - 1
    assert (trial.rows[-1].evidence, trial.rows[-1].disagreement, trial.rows[-1].usage) == (None, 1.0, Usage())


def test_what_is_unlike_its_lessons_would_be_the_teachers(log, try_, world):
    strange = entry(401)
    strange["request"]["messages"] = [
        strange["request"]["messages"][0],
        {"role": "user", "content": "zzyzx qqxyx wyzzy"},
    ]
    trial = try_(log(400, more=[strange]))
    assert trial.rows[-1].evidence is None and trial.rows[-1].usage == Usage(50, 2)  # drafted, to be compared
    others = [row.evidence is None for row in trial.rows[:-1]]
    assert sum(others) < 0.15 * len(others)


def test_a_log_that_no_student_can_be_made_of_says_why_before_anything_runs(log, try_, world):
    with pytest.raises(NoStudent, match="199 rows that a student could be asked, and 200 are needed"):
        try_(log(199))
    long = [entry(number, system="x" * CONTEXT_TOKENS) for number in range(300)]
    path = world.folder / "long.jsonl"
    path.write_text("\n".join(map(json.dumps, long)))
    with pytest.raises(NoStudent, match=r"156 of 156 rows do not fit into the 2048 tokens"):
        try_(path)
    cut_off = [entry(number) for number in range(300)]
    for each in cut_off:
        each["response"]["choices"][0]["finish_reason"] = "length"
    path.write_text("\n".join(map(json.dumps, cut_off)))
    with pytest.raises(NoStudent, match="none of 180 rows teaches"):
        try_(path)
    assert world.stacks == 0


def test_a_base_model_without_a_tokenizer_is_told(log, try_, world):
    (world.folder / "empty").mkdir()
    with pytest.raises(NoStudent, match="cannot read these requests"):
        try_(log(200), base_model=str(world.folder / "empty"))


def test_an_answer_may_be_somewhat_longer_than_nearly_all():
    assert answer_room([3] * 100) == 16
    assert answer_room([*range(1, 100), 5000]) == 119
    assert answer_room([5000] * 10) == CONTEXT_TOKENS // 2
