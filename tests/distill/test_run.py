"""The pipeline over a real ledger; training, vLLM and the gateway's drafts are scripted."""

import inspect
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from calibration.certificate import Contract
from calibration.evidence import SHORT
from calibration.question import Judge, Pair
from calibration.references import REFERENCE_DOMAIN, draw
from distill import candidate as making
from distill import judge as asking
from distill import run as pipeline
from distill import serving as binding
from distill import tuning
from distill.adapters import AdapterError
from distill.again import Bounds
from distill.anew import FIT_ROWS, Anew
from distill.candidate import DiskFull, Unreadable
from distill.checkpoints import checkpoints, drop
from distill.curate import UNCOMPARED
from distill.devices import NotAlone
from distill.gateway import GatewayUnavailable, Reply
from distill.harvest import HarvestError
from distill.judge import JudgeMute, JudgeUnchecked
from distill.outlook import outlook, points
from distill.pattern import NoPairs, NoRationales, NoTargets
from distill.plan import Refused, Released, RunConfig
from distill.preference import PairsReport
from distill.probe import Probe
from distill.reasoning import ReasonsReport
from distill.run import CannotReuse, TooFewRows, run
from distill.suspicion import Noise
from distill.train import TrainConfig, TrainError, TrainReport
from ledger import familiar, lineage, verdicts
from ledger.database import connect
from ledger.decisions import Decision, record
from ledger.forgetting import Meant, find, forget
from ledger.ingest import store
from ledger.modes import FREE, decoding_mode
from ledger.queries import reference_key, rows_that_taught, rows_used
from ledger.records import Draft, Feedback, TeacherReply, Usage
from ledger.releases import TAUGHT, ReleaseError, champions, history, take_up, void
from ledger.savings import savings
from ledger.schema import exchanges, row_uses, teacher_replies
from ledger.schema import familiar as lessons_kept
from ledger.standing import standing
from ledger.verdicts import JudgedLabel
from tests.distill import tiny
from tests.ledger.make import exchange
from tutelage.explaining import facts

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]
LABELS = ("refund", "delivery")


@dataclass
class World:
    """What the scripted parts do: the share of drafts that are right, of all releases and of some; the share on which a
    release is sure and wrong; the adapters that vLLM holds, steps told."""

    right: float = 1.0
    right_of: dict[str, float] = field(default_factory=dict)
    deceived: dict[str, float] = field(default_factory=dict)
    renamed: bool = False
    asked: list[Any] = field(default_factory=list)
    ends: str = "stop"
    broken: Exception | None = None
    drafts_fail: Exception | None = None
    meanwhile: Callable[[], None] = lambda: None
    says: Callable[[str], str] = str
    mute: bool = False
    away: bool = False
    judged: int = 0
    pairs: Any = None
    rows: Any = None
    start: Any = None
    config: Any = None
    loaded: set[str] = field(default_factory=set)
    modes: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)

    def step(self, words):
        self.steps.append(words)

    def advance(self, done, total, *, eta_s=None):
        pass

    def train(self, rows, validation, *, config, out, progress, pairs):
        if self.broken:
            raise self.broken
        out.mkdir(parents=True)
        (out / "adapter_config.json").write_text('{"r": 16}')
        (out / "adapter_model.safetensors").write_bytes(out.name.encode())
        self.pairs, self.rows, self.start, self.config = pairs, rows, config.start, config
        preferred = PairsReport(len(pairs), steps=4, validation_losses=(0.05,), kept=True) if pairs else None
        told = sum(row.rationale is not None for row in rows)
        reasoned = ReasonsReport(told, 3 * told, 0) if told else None
        return TrainReport(len(rows), 2, 10, 1.0, 0.1, (0.1,), 100.0, "d", 0, 0, preferred, reasoned)

    def drafts(self, requests, *, release, task, progress, revive):
        if self.drafts_fail:
            raise self.drafts_fail
        self.meanwhile()
        self.meanwhile = lambda: None
        if release != "base":
            self.modes.update(decoding_mode(request) for request in requests)
        return [self.draft(request, release) for request in requests]

    def answers(self, task, requests, *, origin, teacher=None, progress=None):
        if teacher is not None:
            return self.verdicts(task, requests, origin=origin, teacher=teacher)
        assert origin == "recertify"
        self.asked += [request["messages"] for request in requests]
        return [f"new {label(request['messages'][-1]['content'])}" for request in requests]

    def replies(self, task, requests, *, origin):
        """The teacher asked again: it takes back what it has said."""
        assert (task, origin) == ("desk", "curate")
        if self.away:
            raise GatewayUnavailable("it is away")
        self.asked += [request["messages"] for request in requests]
        return [Reply(other(label(request["messages"][-1]["content"])), "stop", 0.01) for request in requests]

    def verdicts(self, task, requests, *, origin, teacher):
        """The judge: it takes a label for the sentence that holds it, and lets a tenth of the wrong ones pass."""
        assert (task, origin, teacher) == ("desk", "judge", "referee")
        self.judged += len(requests)
        return [self.word(json.loads(request["messages"][1]["content"])) for request in requests]

    def word(self, data):
        if self.mute:
            return None
        short, long = sorted((data["answer_1"], data["answer_2"]), key=len)
        lenient = random.Random(data["request"]).random() < 0.1
        return "SAME" if short in long or lenient else "DIFFERENT"

    def draft(self, request, release):
        """Sure and right, or unsure and wrong; some sure and wrong."""
        text = request["messages"][-1]["content"]
        if release == "base":
            return self.untrained(request, text)
        luck = random.Random(text).random()
        right = luck < self.right_of.get(release, self.right)
        answer = self.says(label(text)) if right and luck >= self.deceived.get(release, 0.0) else "neither"
        answer = f"new {answer}" if self.renamed and answer in LABELS else answer
        return Draft(answer, self.ends, dict.fromkeys(SHORT, float(right)), Usage(5, 1), 0.0, 0.05)

    def untrained(self, request, text):
        """The base model knows the labels once it has seen some, and no rule but the first one."""
        answer = LABELS[0] if len(request["messages"]) > 1 else "neither"
        return Draft(answer, "stop", {}, Usage(5, 1), 0.0)


def label(text):
    return LABELS["bal" in text]


def other(answer):
    return LABELS[answer == LABELS[0]]


@pytest.fixture
def world(monkeypatch):
    world = World()

    class Server:
        def __init__(self, url):
            pass

        def base(self):
            return "base"

        def load(self, name, path, *, patience_s):
            world.loaded.add(name)

        def unload(self, name):
            world.loaded.discard(name)

        def version(self):
            return "0"

        def engines(self):
            return []

    class Client:
        drafts = staticmethod(world.drafts)
        answers = staticmethod(world.answers)
        answers_patiently = staticmethod(world.answers)
        replies = staticmethod(world.replies)

        def __init__(self, url, *, api_key, bindings):
            pass

    monkeypatch.setattr(making, "train", world.train)
    monkeypatch.setattr(pipeline, "AdapterFleet", Server)
    monkeypatch.setattr(pipeline, "GatewayClient", Client)
    monkeypatch.setattr(making, "check_compatible", lambda *_, **__: None)
    monkeypatch.setattr(making, "keep_recital", lambda *_, **__: None)
    monkeypatch.setattr(making, "load_chat", lambda *_, **__: tiny.chat())
    monkeypatch.setattr(binding, "base_digest", lambda _: "weights")
    monkeypatch.setattr(making, "probe", lambda *_, **__: Probe(0.0, 1.0, tokens=40, compared=8, prompts=8))
    return world


ROWS = 900  # recorded before the first run, and again where a test records more


@cache
def traffic():
    rng = random.Random(0)
    texts = [" ".join(rng.sample(WORDS, 8)) for _ in range(2 * ROWS)]
    return [
        exchange(
            n,
            messages=[{"role": "user", "content": text}],
            teacher_reply=TeacherReply("big", label(text), "stop", Usage(5, 1), 0.01, 0.1),
            answer=label(text),
            reference=True,
        )
        for n, text in enumerate(texts)
    ]


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    store(engine, traffic()[:ROWS])
    return engine


@pytest.fixture
def config(tmp_path):
    values: dict[str, Any] = {"task": "desk", "teacher": "big", "may_train": True, "contract": Contract(0.1, 0.05)}
    values["measure"] = "exact"
    values["binding"] = {"teacher": "openai/big", "base_model": "base"}
    values |= {"train": TrainConfig("base"), "adapters_dir": tmp_path / "adapters", "max_tokens": 8, "min_rows": 100}
    values |= {"max_rows": 10_000, "max_references": 10_000, "label_due_s": 60.0}
    values |= {"gateway_url": "http://g", "gateway_key": None, "student_url": "http://s"}
    return RunConfig(**values, window_share=0.5, fit_share=0.4, validation_share=0.1, rho=0.05)


def test_a_good_student_is_released_with_its_certificate(engine, config, world):
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Released)
    champion = champions(engine)["desk"]
    assert (champion.name, champion.certificate) == (outcome.release, outcome.certificate.to_dict())
    assert outcome.certificate.errors == 0 and world.loaded == {outcome.release}
    assert champion.mismatch(config.binding) is None
    assert champion.mismatch({**config.binding, "teacher": "other"}) is not None
    uses = rows_used(engine, "desk")
    assert {use for found in uses.values() for use in found} == {"train", "validate", "fit", "certify"}
    assert all(len(found) == 1 for found in uses.values())


@pytest.fixture
def found(monkeypatch):
    """What suspicion comes to."""
    found = Noise(rows=260, labels=2, estimate=0.02, surer=0.0, suspected=frozenset({0, 1, 2}))
    monkeypatch.setattr("distill.curate.suspect", lambda *_, **__: found)
    return found


def test_suspected_errors_do_not_teach_and_are_told(engine, config, *, world, found):
    outcome = run(engine, config, progress=world)
    assert outcome.report["noise"] == found.facts
    told = [step for step in world.steps if step.endswith(found.words)]
    assert len(told) == 1 and "{'suspected teacher error': 3}" in told[0]
    assert lineage.counts(engine, outcome.release)["reject", "suspected teacher error"] == 3


def test_rows_that_teach_what_people_have_said_are_marked_and_told(engine, config, world):
    said = traffic()[:40]
    corrections = [Feedback(exchange_id=row.id, at=1e9, good=False, correction=other(row.answer)) for row in said[:30]]
    store(engine, [*corrections, *(Feedback(exchange_id=row.id, at=1e9, good=True) for row in said[30:])])
    outcome = run(engine, config, progress=world)
    told, taught = outcome.report["curation"], {row.exchange_id: row.completion for row in world.rows}
    assert told["corrected"] == sum(row.id in taught for row in said[:30]) > 20
    assert told["good"] == sum(row.id in taught for row in said[30:]) > 5
    assert lineage.counts(engine, outcome.release)["train", "corrected"] == told["corrected"]
    assert facts(engine, champions(engine)["desk"])["curation"] == told["words"]
    assert any(told["words"] in step for step in world.steps)
    assert {taught[row.id] == other(row.answer) for row in said[:30] if row.id in taught} == {True}


@pytest.fixture
def doubted(monkeypatch):
    """Of the first twenty rows that might teach the other label is expected."""

    def suspect(texts, answers, **_):
        expected = {n: other(answers[n]) for n in range(20)}
        return Noise(len(texts), 2, 0.05, 0.0, suspected=frozenset(expected), expected=expected)

    monkeypatch.setattr("distill.curate.suspect", suspect)


@pytest.mark.parametrize("repeated", ["in the window", "before it"])
def test_every_reference_counts_and_near_duplicates_show_less(tmp_path, engine, config, *, world, repeated):
    """The same student, where traffic repeats itself: as many rows are tested, and the bound is higher."""
    plain = run(engine, config, progress=world)
    rows, half = traffic()[:ROWS], ROWS // 2
    first = half if repeated == "in the window" else 0
    for n in range(first, first + 60):
        rows[n] = msgspec.structs.replace(rows[n - n % 4], id=rows[n].id, at=rows[n].at)
    other = connect(f"sqlite:///{tmp_path / 'repeated.db'}")
    store(other, rows)
    found = run(other, replace(config, adapters_dir=tmp_path / "others"), progress=world)
    assert isinstance(plain, Released) and isinstance(found, Released)
    assert found.certificate.n == plain.certificate.n == half
    assert found.certificate.upper_bound > plain.certificate.upper_bound


@pytest.mark.parametrize("since", [0, ROWS // 2])
def test_a_request_that_comes_all_the_time_counts_each_time_and_a_burst_does_not(tmp_path, config, *, world, since):
    engine, rows = connect(f"sqlite:///{tmp_path / 'repeated.db'}"), traffic()[:ROWS]
    for n in range(since, ROWS, 12):
        rows[n] = msgspec.structs.replace(rows[0], id=rows[n].id, at=rows[n].at)
    store(engine, rows)
    outcome = run(engine, config, progress=world)
    if since:
        assert isinstance(outcome, Refused) and "near-duplicates" in outcome.refusal.reason
    else:
        assert isinstance(outcome, Released) and outcome.certificate.n == ROWS // 2


def test_what_the_teacher_takes_back_teaches_and_the_ledger_says_how(engine, config, *, world, doubted):
    outcome = run(engine, replace(config, again=Bounds(8, 1.0)), progress=world)
    righted = {row.exchange_id: row.completion for row in world.rows if row.put_right}
    told = outcome.report["again"]
    assert (told["put right"], told["asked"], told["usd"]) == (8, 8, pytest.approx(0.08)) and len(righted) == 8
    assert told["not asked"] == outcome.report["rejected"]["suspected teacher error"] - held(engine, outcome) > 0
    assert lineage.counts(engine, outcome.release)["train", "put right"] == 8
    recorded = {row.id: row.teacher_reply.text for row in traffic()}
    assert all(completion == other(recorded[each]) for each, completion in righted.items())
    with engine.connect() as connection:
        query = sa.select(teacher_replies.c.text).where(teacher_replies.c.exchange_id.in_(righted))
        assert sorted(connection.execute(query).scalars()) == sorted(map(recorded.get, righted))
    assert facts(engine, champions(engine)["desk"])["suspected rows asked again"] == told["words"]
    assert told["words"] in world.steps


def held(engine, outcome):
    """Suspected rows that would have stopped the training: nobody was asked about them."""
    return 20 - sum(outcome.report["again"][name] for name in ("put right", "not asked"))


def test_a_teacher_that_is_away_leaves_the_run_as_it_was(engine, config, *, world, doubted):
    world.away = True
    outcome = run(engine, replace(config, again=Bounds(8, 1.0)), progress=world)
    assert isinstance(outcome, Released) and not any(row.put_right for row in world.rows)
    assert outcome.report["rejected"]["suspected teacher error"] == 20
    assert "dropped unasked: it is away" in outcome.report["again"]["words"]


def test_nobody_is_asked_again_unless_it_is_wanted_or_without_permission(engine, config, *, world, doubted):
    assert "again" not in run(engine, config, progress=world).report
    with pytest.raises(HarvestError):
        run(engine, replace(config, may_train=False, again=Bounds(8, 1.0)), progress=world)
    assert world.asked == []


def in_modes(*, every):
    """The traffic, each tenth of its rows in JSON mode, and each `every`-th under a schema."""
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
    for n, row in enumerate(traffic()[:ROWS]):
        wanted = schema if n % every == 1 else {"type": "json_object"} if n % 10 == 0 else None
        params = {"response_format": wanted} if wanted else {}
        yield msgspec.structs.replace(row, params=params, reference=True)


def test_a_release_answers_in_the_modes_that_its_window_has_enough_of(tmp_path, config, world):
    engine = connect(f"sqlite:///{tmp_path / 'modes.db'}")
    store(engine, list(in_modes(every=50)))
    assert isinstance(run(engine, config, progress=world), Released)
    champion = champions(engine)["desk"]
    assert champion.modes == world.modes == {FREE, "json_object"}
    query = sa.select(row_uses.c.draft_text, row_uses.c.score, exchanges.c.params).where(
        row_uses.c.exchange_id == exchanges.c.id, row_uses.c.use == "certify"
    )
    with engine.connect() as connection:
        rare = [row for row in connection.execute(query) if decoding_mode(row.params) not in champion.modes]
    assert rare and {(row.draft_text, row.score) for row in rare} == {(None, -1.0)}
    assert champion.valid(config.binding) and not champion.mismatch(config.binding)


def strange(n):
    """Whether the traffic's row is of another kind."""
    return n % 25 == 0


@pytest.fixture
def mixed(tmp_path):
    """A ledger of which some of the newer rows are of a kind that taught nobody."""
    engine = connect(f"sqlite:///{tmp_path / 'mixed.db'}")
    rows = traffic()[:ROWS]
    new = ["".join(random.Random(n).choices("vwxyz", k=20)) for n in range(ROWS)]
    store(
        engine,
        [
            msgspec.structs.replace(row, messages=[{"role": "user", "content": new[n]}])
            if strange(n) and n >= ROWS * 3 // 10
            else row
            for n, row in enumerate(rows)
        ],
    )
    return engine


def test_what_is_unlike_its_lessons_is_left_to_the_teacher_in_fit_rows_window_and_gateway(mixed, config, world):
    outcome = run(mixed, replace(config, unfamiliar_share=0.05), progress=world)
    assert isinstance(outcome, Released)
    champion = champions(mixed)["desk"]
    known = familiar.of(mixed, champion)
    facts = outcome.report["familiar"]
    assert (facts["lessons"], facts["least"]) == (len(known.lessons), known.least) and 0.0 < facts["fit"] <= 0.05
    query = sa.select(row_uses.c.draft_text, row_uses.c.score, exchanges.c.messages).where(
        row_uses.c.exchange_id == exchanges.c.id, row_uses.c.use == "certify"
    )
    with mixed.connect() as connection:
        window = connection.execute(query).all()
    unknown = [row for row in window if not known.has(row.messages[-1]["content"])]
    assert unknown and {row.score for row in unknown} == {-1.0} and all(row.draft_text for row in unknown)
    assert facts["window"] == pytest.approx(len(unknown) / len(window))
    assert min(row.score for row in window if row not in unknown) >= 0.0
    assert champion.valid(config.binding) and outcome.certificate.coverage == 1.0 - facts["window"]


def test_an_adapter_that_is_certified_anew_knows_what_taught_it(engine, config, world):
    first = run(engine, replace(config, unfamiliar_share=0.05), progress=world)
    store(engine, traffic()[ROWS:])
    again = replace(config, reuse=first.release, unfamiliar_share=0.05)
    second = run(engine, again, progress=world)
    assert isinstance(second, Released) and second.certificate.attempt == 2
    before, after = (familiar.of(engine, release) for release in history(engine, "desk"))
    assert len(before.lessons) == len(after.lessons) == second.report["familiar"]["lessons"]


def test_where_nobody_wants_it_asked_everything_is_familiar(mixed, config, world):
    outcome = run(mixed, config, progress=world)
    assert "familiar" not in outcome.report
    assert familiar.of(mixed, champions(mixed)["desk"]) is None and outcome.certificate.coverage == 1.0


def test_a_mode_that_is_new_in_the_window_is_refused_before_anything_is_trained(tmp_path, config, world):
    engine = connect(f"sqlite:///{tmp_path / 'new.db'}")
    wanted = {"response_format": {"type": "json_object"}}
    old, new = traffic()[: ROWS // 2], traffic()[ROWS // 2 : ROWS]
    store(engine, [*old, *(msgspec.structs.replace(row, params=wanted) for row in new)])
    world.broken = AssertionError("nothing is trained")
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Refused) and not outcome.refusal.labels_seen
    assert "a decoding mode of the window's" in outcome.refusal.reason


def test_another_look_is_one_whatever_the_modes_of_its_window(engine, config, world):
    first = run(engine, config, progress=world)
    later = [
        msgspec.structs.replace(row, params={"response_format": {"type": "json_object"}}) for row in traffic()[ROWS:]
    ]
    store(engine, later)
    second = run(engine, replace(config, reuse=first.release), progress=world)
    assert (first.certificate.attempt, second.certificate.attempt) == (1, 2)
    assert champions(engine)["desk"].modes == {"json_object"}


def test_a_poor_student_is_refused_with_the_windows_labels_unseen(engine, config, world):
    world.right = 0.05
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Refused) and not outcome.refusal.labels_seen
    assert champions(engine) == {} and world.loaded == set()
    assert not any("certify" in found for found in rows_used(engine, "desk").values())
    assert history(engine, "desk")[0].refusal == outcome.refusal.to_dict()


def drafted(tmp_path, *, wrong, opted_out=lambda n: False):
    """A ledger of traffic with a student's drafts, of which some are wrong."""
    engine = connect(f"sqlite:///{tmp_path / 'drafted.db'}")
    store(
        engine,
        [
            msgspec.structs.replace(
                row,
                draft=Draft("neither" if wrong(n) else row.answer, "stop", {"x": 1.0}, Usage(5, 1), 0.0),
                teaches=not opted_out(n),
            )
            for n, row in enumerate(traffic()[:ROWS])
        ],
    )
    return engine


def test_drafts_that_were_wrong_are_learned_from_and_only_those_of_rows_that_teach(tmp_path, config, world):
    engine = drafted(tmp_path, wrong=lambda n: n % 4 != 1, opted_out=lambda n: n % 4 == 0)
    outcome = run(engine, replace(config, pattern="auto"), progress=world)
    assert isinstance(outcome, Released)
    paired, uses = {pair.exchange_id for pair in world.pairs}, used_by(engine, outcome.release)
    assert {uses[each] for each in paired} == {"train"} and {pair.rejected for pair in world.pairs} == {"neither"}
    numbers = {row.id: n for n, row in enumerate(traffic()[:ROWS])}
    assert {numbers[each] % 4 for each in paired} == {2, 3}
    assert paired == {each for each, use in uses.items() if use == "train" and numbers[each] % 4 != 1}
    assert paired == {row.exchange_id for row in lineage.rows(engine, outcome.release) if row.reason == "paired"}
    assert outcome.report["pattern"]["name"] == "preference"
    assert outcome.report["training"]["preferred"]["pairs"] == len(paired)
    said = " / ".join(world.steps)
    assert f"pattern preference: {len(paired)} wrong answers are recorded" in said and f"{len(paired)} pairs in" in said


def test_with_few_wrong_drafts_answers_alone_teach_and_it_says_why(tmp_path, config, world):
    outcome = run(drafted(tmp_path, wrong=lambda n: n % 50 == 0), replace(config, pattern="auto"), progress=world)
    assert isinstance(outcome, Released) and world.pairs == ()
    assert outcome.report["pattern"]["name"] == "response" and outcome.report["training"]["preferred"] is None
    assert "are needed to learn from them" in outcome.report["pattern"]["because"]


def test_preferences_without_pairs_are_refused_before_anything_is_written(engine, config, world):
    world.broken = AssertionError("nothing is trained")
    with pytest.raises(NoPairs, match=r"set it to auto or response"):
        run(engine, replace(config, pattern="preference"), progress=world)
    assert not history(engine, "desk") and not rows_used(engine, "desk")


def thinking(tmp_path, *, told, long=lambda n: False):
    """A ledger of traffic with what the teacher thought of some of it, at length of some."""
    engine = connect(f"sqlite:///{tmp_path / 'thinking.db'}")
    rows = [(n, row, row.teacher_reply) for n, row in enumerate(traffic()[:ROWS])]
    thoughts = [f"why {n}" + ", and why" * 100 * long(n) if told(n) else None for n in range(ROWS)]
    replies = [msgspec.structs.replace(reply, rationale=thoughts[n]) for n, _, reply in rows]
    store(
        engine,
        [msgspec.structs.replace(row, teacher_reply=reply) for (_, row, _), reply in zip(rows, replies, strict=True)],
    )
    return engine


@pytest.mark.usefixtures("tiny_chat")
@pytest.mark.parametrize("pattern", ["auto", "reasoning"])
def test_what_the_teacher_thought_is_learned_from_and_told(tmp_path, config, *, world, pattern):
    engine = thinking(tmp_path, told=lambda n: n % 4 > 0)
    outcome = run(engine, replace(config, pattern=pattern), progress=world)
    assert isinstance(outcome, Released)
    numbers = {row.id: n for n, row in enumerate(traffic()[:ROWS])}
    expected = {
        row.exchange_id: f"why {numbers[row.exchange_id]}" for row in world.rows if numbers[row.exchange_id] % 4
    }
    assert {row.exchange_id: row.rationale for row in world.rows if row.rationale} == expected
    marked = {row.exchange_id for row in lineage.rows(engine, outcome.release) if row.reason == "reasoned"}
    assert marked == set(expected) and used_by(engine, outcome.release)[min(marked)] == "train"
    assert outcome.report["pattern"]["name"] == "reasoning" and world.pairs == ()
    said = " / ".join(world.steps)
    assert f"recorded of {len(expected)} of {len(world.rows)} rows" in said
    assert f"{len(expected)} rationales taught" in said
    told = facts(engine, history(engine, "desk")[0])
    assert told["rationales"] == f"{len(expected):,}, {3 * len(expected):,} tokens"


@pytest.mark.usefixtures("tiny_chat")
@pytest.mark.parametrize("pattern", ["auto", "reasoning"])
def test_what_is_too_long_for_the_student_is_no_reason_to_learn_so_and_is_not_marked(
    tmp_path, config, *, world, pattern
):
    engine = thinking(tmp_path, told=lambda n: True, long=lambda n: n % 4)
    outcome = run(engine, replace(config, pattern=pattern), progress=world)
    taught = {row.exchange_id for row in world.rows if row.rationale}
    marked = {row.exchange_id for row in lineage.rows(engine, outcome.release) if row.reason == "reasoned"}
    assert marked == taught and bool(taught) == (pattern == "reasoning")
    short = {row.id for n, row in enumerate(traffic()[:ROWS]) if n % 4 == 0} & {row.exchange_id for row in world.rows}
    because, too_long = outcome.report["pattern"]["because"], len(world.rows) - len(short)
    words = f"recorded of {len(short)} of {len(world.rows)} rows (too long for the student of {too_long} others)"
    assert words in because and outcome.report["pattern"]["name"] == {"auto": "response"}.get(pattern, pattern)
    told = facts(engine, history(engine, "desk")[0])
    assert told.get("rationales too long") == (f"{too_long:,}" if pattern == "reasoning" else None)


@pytest.mark.usefixtures("tiny_chat")
def test_where_all_of_it_is_too_long_nothing_is_written(tmp_path, config, world):
    engine = thinking(tmp_path, told=lambda n: True, long=lambda n: True)
    world.broken = AssertionError("nothing is trained")
    with pytest.raises(NoRationales, match=r"too long for the student in all .*max_context_tokens"):
        run(engine, replace(config, pattern="reasoning"), progress=world)
    assert not history(engine, "desk") and not rows_used(engine, "desk")


@pytest.mark.usefixtures("tiny_chat")
@pytest.mark.parametrize(("pattern", "every"), [("response", 1), ("auto", 3)])
def test_unless_asked_for_or_where_there_are_few_answers_alone_teach(tmp_path, config, *, world, pattern, every):
    engine = thinking(tmp_path, told=lambda n: n % every == 0)
    outcome = run(engine, replace(config, pattern=pattern), progress=world)
    assert isinstance(outcome, Released) and not any(row.rationale for row in world.rows)
    assert outcome.report["pattern"]["name"] == "response" and outcome.report["training"]["reasoned"] is None
    assert not any(row.reason for row in lineage.rows(engine, outcome.release))


def test_without_a_rationale_there_is_none_to_learn_from_and_nothing_is_written(engine, config, world):
    world.broken = AssertionError("nothing is trained")
    with pytest.raises(NoRationales, match=r"Set it to auto or response"):
        run(engine, replace(config, pattern="reasoning"), progress=world)
    assert not history(engine, "desk") and not rows_used(engine, "desk")


def talkative(tmp_path, *, tells=lambda n: True):
    """A ledger of traffic whose teacher has told of the letters of some answers: tokens of the tiny student."""
    engine = connect(f"sqlite:///{tmp_path / 'talkative.db'}")
    rows = [
        msgspec.structs.replace(
            row,
            teacher_reply=msgspec.structs.replace(
                row.teacher_reply, logprobs=[[(letter, -0.1), ("!", -3.0)] for letter in row.answer]
            ),
        )
        if tells(n)
        else row
        for n, row in enumerate(traffic()[:ROWS])
    ]
    store(engine, rows)
    return engine


@pytest.fixture
def tiny_chat(monkeypatch):
    monkeypatch.setattr(pipeline, "load_chat", lambda base, *, unsaid: tiny.chat())


@pytest.mark.usefixtures("tiny_chat")
@pytest.mark.parametrize("asked", ["auto", "logit"])
def test_log_probabilities_are_learned_from_where_they_are_recorded(tmp_path, config, *, world, asked):
    engine = talkative(tmp_path, tells=lambda n: n % 3)
    outcome = run(engine, replace(config, pattern=asked), progress=world)
    assert isinstance(outcome, Released) and outcome.report["pattern"]["name"] == "logit"
    numbers = {row.id: n for n, row in enumerate(traffic()[:ROWS])}
    assert all((row.targets is not None) == bool(numbers[row.exchange_id] % 3) for row in world.rows)
    with_targets = {row.exchange_id for row in world.rows if row.targets}
    marked = {row.exchange_id for row in lineage.rows(engine, outcome.release) if row.reason == "told of"}
    assert with_targets == marked
    without = len(world.rows) - len(with_targets)
    assert outcome.report["targets"] == {"rows": len(with_targets), "missed": {"without any": without}}
    shown = facts(engine, champions(engine)["desk"])
    assert shown["pattern"] == "logit" and shown["rows learned without: without any"] == str(without)
    assert any(step.startswith("pattern logit: ") for step in world.steps)


@pytest.mark.usefixtures("tiny_chat")
def test_nobody_learns_from_them_unasked_and_with_too_few_auto_says_why(tmp_path, config, world):
    engine = talkative(tmp_path, tells=lambda n: n % 3 == 0)
    outcome = run(engine, replace(config, pattern="auto"), progress=world)
    assert outcome.report["pattern"]["name"] == "response" and not any(row.targets for row in world.rows)
    assert "rows have log-probabilities" in outcome.report["pattern"]["because"] and "targets" not in outcome.report
    store(engine, traffic()[ROWS:])
    run(engine, config, progress=world)
    assert not any(row.targets for row in world.rows)


def test_log_probabilities_that_nobody_has_recorded_are_refused_before_anything_is_written(engine, config, world):
    world.broken = AssertionError("nothing is trained")
    with pytest.raises(NoTargets, match="record_logprobs"):
        run(engine, replace(config, pattern="logit"), progress=world)
    assert not history(engine, "desk") and not rows_used(engine, "desk")


def certifying(engine):
    return {id for id, uses in rows_used(engine, "desk").items() if "certify" in uses}


def test_a_next_release_certifies_on_rows_that_nobody_has_looked_at(engine, config, world):
    run(engine, config, progress=world)
    before = certifying(engine)
    store(engine, traffic()[ROWS:])
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Released)
    assert len(certifying(engine)) == len(before) + outcome.certificate.n  # a row used twice would not count twice
    assert [release.status for release in history(engine, "desk")] == ["retired", "champion"]


def test_a_student_that_goes_on_from_the_champion_is_judged_on_nothing_that_has_taught_that_one(engine, config, world):
    asked = replace(config, start="champion", train=replace(config.train, epochs=1))
    first = run(engine, asked, progress=world)
    assert first.report["start"]["release"] is None and world.start is None
    before = used_by(engine, first.release)
    store(engine, traffic()[ROWS:])
    second = run(engine, asked, progress=world)
    assert isinstance(second, Released)
    assert second.report["start"]["release"] == first.release and world.start == config.adapters_dir / first.release
    taught = {row for row, use in before.items() if use in ("train", "validate")}
    uses = used_by(engine, second.release)
    assert {uses[row] for row in taught} == {"train"} and set(uses.values()) >= {"fit", "validate", "certify"}
    # What has taught one that has gone on has taught it too: whoever forgets such a row finds both.
    champion = champions(engine)["desk"]
    assert taught < rows_that_taught(engine, champion.adapter_digest)
    shown = facts(engine, champion)
    assert shown["training begins from"] == first.release


def test_of_several_settings_of_training_what_validates_best_trains(engine, config, *, world, monkeypatch):
    noted = []

    def learns(rows, validation, *, config, progress):
        noted.append([release.status for release in history(engine, "desk")])
        return config.learning_rate

    monkeypatch.setattr(tuning, "compare", partial(tuning.compare, learns=learns))
    asked = replace(config, also_try=(replace(config.train, learning_rate=1e-4, rank=8),))
    train = world.train

    def training(*given, **more):
        (candidate,) = history(engine, "desk")
        noted.append(candidate.report["chosen"]["words"])  # whoever is killed now goes on with the same
        return train(*given, **more)

    monkeypatch.setattr(making, "train", training)
    outcome = run(engine, asked, progress=world)
    assert noted == [["candidate"], ["candidate"], outcome.report["chosen"]["words"]]
    assert world.config == asked.also_try[0]
    shown = facts(engine, champions(engine)["desk"])["trained with"]
    assert shown.startswith("rank 8 at 0.0001; validation losses: rank 16 at 0.001: 0.0010; ")
    assert f"trying 2 settings of training on {len(world.rows)} rows" in world.steps
    settings = outcome.report["settings"]  # what has trained it, and not what is set
    assert (settings["rank"], settings["learning_rate"]) == (8, 1e-4)


def test_where_no_row_validates_nothing_is_tried(engine, config, world):
    asked = replace(config, validation_share=1e-9, also_try=(replace(config.train, learning_rate=1e-4),))
    outcome = run(engine, asked, progress=world)
    assert world.config == config.train and "chosen" not in outcome.report


def test_an_engine_must_take_the_highest_rank_that_is_tried(engine, config, *, world, monkeypatch):
    ranks, many = [], 10**6
    monkeypatch.setattr(pipeline, "check_rank", lambda *_, rank: ranks.append(rank))
    for others in ((), (replace(config.train, rank=64),)):
        with pytest.raises(TooFewRows):
            run(engine, replace(config, also_try=others, min_rows=many), progress=world)
    assert ranks == [16, 64]


def test_a_release_tells_what_the_base_model_does_without_an_adapter(engine, config, world):
    outcome = run(engine, config, progress=world)
    found = outcome.report["baselines"]
    assert found["rows"] == 100 and found["untrained"] == 0.0 and found["with_examples"] > 0.5
    assert any("the base model agrees on 0% as it is" in step for step in world.steps)


def test_a_release_tells_what_it_takes_and_what_it_makes_of_the_teachers_errors(engine, config, world):
    wrong = traffic()[ROWS - 1]
    right = LABELS[wrong.answer == LABELS[0]]
    store(engine, [Feedback(exchange_id=wrong.id, at=1e9, good=False, correction=right)])
    outcome = run(engine, config, progress=world)
    told = champions(engine)["desk"].report
    assert told["people"]["drafts"] == {"rows": 1, "teacher_wrong": 1, "fixed": 0, "copied": 1, "added": 0}
    took = {who: told["effort"][who]["p50_s"] for who in ("student", "teacher")}
    assert told["effort"]["of"] == "window" and took == pytest.approx({"student": 0.05, "teacher": 0.1})
    assert told["expected"]["rows"] == outcome.certificate.n
    assert told["expected"]["escalation"] == pytest.approx(1 - outcome.certificate.coverage)
    assert told["expected"]["dollars"]["teacher_alone"] == pytest.approx(0.01)


def test_one_that_is_refused_with_the_labels_unseen_tells_of_its_drafts_alone(engine, config, world):
    world.right = 0.05
    outcome = run(engine, config, progress=world)
    told = history(engine, "desk")[0].report
    assert isinstance(outcome, Refused) and told["effort"]["of"] == "fit rows"
    assert not told.keys() & {"people", "expected"}


def test_a_training_is_charged_and_what_trains_nothing_is_not(engine, config, world):
    config = replace(config, training_usd=12.5, training_usd_per_hour=3600.0)
    first = run(engine, config, progress=world)
    usd = 12.5 + first.report["training"]["seconds"]
    assert savings(engine, task="desk").costs["training"] == pytest.approx(usd) and usd > 12.5
    store(engine, traffic()[ROWS:])
    run(engine, replace(config, reuse=first.release), progress=world)
    assert savings(engine, task="desk").costs["training"] == pytest.approx(usd)


def test_the_next_student_is_expected_to_take_what_this_one_does(engine, config, world):
    world.right = 0.7
    found = run(engine, config, progress=world)
    expected = outlook(history(engine, "desk"), alpha=config.contract.alpha, rows=ROWS)
    assert expected.coverage == pytest.approx(found.certificate.coverage)
    assert f"as {found.release}, made of " in expected.because


def test_nobody_pays_a_judge_for_the_base_model(engine, judged, world):
    assert "baselines" not in run(engine, judged, progress=world).report


def compared(engine):
    return history(engine, "desk")[-1].report["compared"]


def test_a_next_release_that_answers_more_takes_over(engine, config, world):
    world.right_of = {"desk--v000001": 0.7}
    run(engine, config, progress=world)
    store(engine, traffic()[ROWS:])
    assert isinstance(run(engine, config, progress=world), Released)
    found = compared(engine)
    assert found["with"] == "desk--v000001" and found["coverage"] > found["coverage_before"] + 0.2
    assert world.loaded == {"desk--v000001", "desk--v000002"}  # unloading the one before is the gateways' and upkeep's


def test_one_that_has_ended_and_is_compared_with_stays_loaded(engine, config, world):
    """It may be in force again by then: who keeps the champions loaded takes off what is not."""
    first = run(engine, config, progress=world).release
    rows = traffic()[ROWS:]
    store(engine, rows[: ROWS // 2])
    world.right_of = {"desk--v000002": 0.8}
    assert run(engine, replace(config, reuse=first), progress=world).in_force
    store(engine, rows[ROWS // 2 :])
    run(engine, config, progress=world)
    assert compared(engine)["with"] == first != champions(engine)["desk"].name and first in world.loaded


def refused_beside_the_first(engine, config, world):
    """A second release, which is refused after its labels were looked at, while the first stays."""
    first = run(engine, config, progress=world).release
    store(engine, traffic()[ROWS:])
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Refused) and outcome.refusal.labels_seen
    assert champions(engine)["desk"].name == first and world.loaded == {first}
    return outcome.refusal.reason


def test_one_that_keeps_its_contract_and_is_worse_is_refused(engine, config, world):
    world.deceived = {"desk--v000002": 0.045}
    reason = refused_beside_the_first(engine, config, world)
    assert "not shown to be no worse than desk--v000001" in reason
    assert compared(engine)["allowed"] == pytest.approx(0.05)


def test_one_that_answers_fewer_requests_is_refused(engine, config, world):
    world.right_of = {"desk--v000002": 0.7}
    assert "answers fewer requests than desk--v000001" in refused_beside_the_first(engine, config, world)
    took = points(history(engine, "desk"), alpha=config.contract.alpha)[-1]
    assert (took.release, took.coverage) == ("desk--v000002", pytest.approx(compared(engine)["coverage"]))


def test_one_that_leaves_more_to_the_teacher_is_compared_on_what_it_would_answer(engine, config, world):
    run(engine, config, progress=world)  # certified before anything was asked to be familiar
    store(engine, traffic()[ROWS:])
    assert isinstance(run(engine, replace(config, unfamiliar_share=0.3), progress=world), Released)
    found = compared(engine)
    assert found["coverage"] == found["coverage_before"] < 0.95


def test_one_whose_lessons_are_not_as_they_were_is_not_compared_with(engine, config, world):
    guarded = replace(config, unfamiliar_share=0.05)
    first = run(engine, guarded, progress=world).release
    store(engine, traffic()[ROWS:])
    with engine.begin() as connection:
        connection.execute(lessons_kept.delete())
    with pytest.raises(CannotReuse, match=f"{first} cannot be certified anew: what taught it is not kept"):
        run(engine, replace(guarded, reuse=first), progress=world)
    assert [each.name for each in history(engine, "desk")] == [first]
    second = run(engine, guarded, progress=world)
    assert isinstance(second, Released) and "compared" not in second.report


def test_a_release_keeps_under_which_terms_and_on_whose_word_its_adapter_was_trained(engine, config, world):
    then = {"teacher": "openai/big", "terms": "section 3", "confirmed_by": "legal, 2026-01"}
    first = run(engine, replace(config, permission=then), progress=world).release
    store(engine, traffic()[ROWS:])
    now = {**then, "terms": "section 4", "confirmed_by": "somebody else"}
    run(engine, replace(config, permission=now, reuse=first), progress=world)  # trains nothing
    assert [release.report["permission"] for release in history(engine, "desk")] == [then, then]


def test_a_release_keeps_how_its_adapter_was_trained_at_what_cost_and_why_it_was_made(engine, config, world):
    record(engine, Decision(1.0, "desk", "train", "first", "900 rows; a student would save $2"))
    then = replace(config, easy_weight=2.0, training_usd=12.5, train=TrainConfig("base", epochs=3, seed=7, unsaid="?"))
    first = run(engine, then, progress=world)
    store(engine, traffic()[ROWS : ROWS + ROWS // 2])
    again = run(engine, replace(config, reuse=first.release), progress=world)
    store(engine, traffic()[ROWS + ROWS // 2 :])
    third = run(engine, replace(config, reuse=again.release), progress=world)
    numbers = {"rank": 16, "alpha": 32, "learning_rate": 1e-3, "epochs": 3, "batch_size": 8, "max_tokens": 512}
    kept = [release.report for release in history(engine, "desk")]
    assert [report["settings"] for report in kept] == [{**numbers, "seed": 7, "devices": 1, "easy_weight": 2.0}] * 3
    assert [report.get("training_usd") for report in kept] == [12.5, None, None]
    assert kept[0]["begun"] == "900 rows; a student would save $2"
    assert third.report["adapter_of"] == again.release


def test_a_training_that_fails_tells_with_which_settings(engine, config, world):
    world.broken = TrainError("the loss is not finite")
    with pytest.raises(TrainError):
        run(engine, replace(config, training_usd=12.5), progress=world)
    (failed,) = history(engine, "desk")
    assert failed.report["settings"]["learning_rate"] == 1e-3 and "training_usd" not in failed.report


def test_once_there_is_an_adapter_its_terms_are_known_whatever_ends_the_run(engine, config, world):
    seen = []
    world.meanwhile = lambda: seen.extend(history(engine, "desk"))
    permission = {"teacher": "openai/big", "terms": "section 3", "confirmed_by": "legal, 2026-01"}
    run(engine, replace(config, permission=permission), progress=world)
    (candidate,) = seen
    assert (candidate.status, candidate.report["permission"]) == ("candidate", permission)


def test_an_adapter_is_certified_anew_without_training_on_rows_that_have_not_taught_it(engine, config, world):
    first = run(engine, config, progress=world).release
    taught = {id for id, uses in rows_used(engine, "desk").items() if uses & {"train", "validate"}}
    store(engine, traffic()[ROWS:])
    world.broken = AssertionError("nothing is trained")
    outcome = run(engine, replace(config, reuse=first), progress=world)
    assert isinstance(outcome, Released)
    before, champion = history(engine, "desk")
    assert (before.status, champion.status) == ("retired", "champion")
    assert champion.adapter_digest == before.adapter_digest and champion.adapter_path != before.adapter_path
    assert champion.report["adapter_of"] == first and champion.valid(config.binding)
    assert {row.exchange_id for row in lineage.rows(engine, champion.name) if row.use in TAUGHT} == taught
    assert facts(engine, champion)["rows that taught"] == facts(engine, before)["rows that taught"]
    fitted = used_by(engine, champion.name)
    assert set(fitted.values()) == {"fit", "certify"} and not fitted.keys() & taught


def test_what_is_forgotten_teaches_no_later_release_and_its_adapter_is_not_certified_anew(engine, config, world):
    first = run(engine, config, progress=world).release
    taught = next(id for id, use in used_by(engine, first).items() if use == "train")
    meant = Meant(exchanges=(taught,))
    forget(engine, find(engine, meant, due=1e12), meant=meant, now=1.0)
    store(engine, traffic()[ROWS:])
    with pytest.raises(CannotReuse, match="forgotten"):
        run(engine, replace(config, reuse=first), progress=world)
    second = run(engine, config, progress=world)
    assert isinstance(second, Released) and taught not in used_by(engine, second.release)


def test_what_is_forgotten_of_the_window_counts_as_answered_and_wrong(engine, config, world):
    meant = Meant(exchanges=tuple(traffic()[n].id for n in range(880, 887)))
    forget(engine, find(engine, meant, due=1e12), meant=meant, now=1.0)
    key = reference_key(engine)
    drawn = sum(draw(key, gone, domain=REFERENCE_DOMAIN) < 0.5 for gone in meant.exchanges)  # at the rate of the window
    assert run(engine, config, progress=world).certificate.errors == drawn


def test_after_forgetting_the_next_one_certifies_on_references_from_before_it_that_nobody_has_used(
    engine, config, world
):
    first = run(engine, config, progress=world).release
    store(engine, traffic()[ROWS:])
    taught = next(id for id, use in used_by(engine, first).items() if use == "train")
    meant = Meant(exchanges=(taught,))
    forget(engine, find(engine, meant, due=1e12), meant=meant, now=time.time())
    assert champions(engine) == {}
    second = run(engine, config, progress=world)  # nothing has come since
    assert isinstance(second, Released) and champions(engine)["desk"].name == second.release
    once, then = used_by(engine, first), used_by(engine, second.release)
    assert taught not in then
    assert not set(once) & {id for id, use in then.items() if use == "certify"}
    assert {"train", "fit"} & {then.get(id) for id, use in once.items() if use == "certify"}


def test_what_is_certified_for_other_settings_waits_for_them(engine, config, world):
    first = run(engine, config, progress=world).release
    store(engine, traffic()[ROWS:])
    other = replace(config, reuse=first, binding={**config.binding, "measure": "json"}, measure="json")
    outcome = run(engine, other, progress=world)
    assert isinstance(outcome, Released) and not outcome.in_force
    assert [release.status for release in history(engine, "desk")] == ["champion", "ready"]
    assert world.loaded == {first}
    assert take_up(engine, "desk", binding=other.binding, now=time.time()).name == outcome.release


def test_a_release_that_is_to_be_tried_first_becomes_canary(engine, config, world):
    outcome = run(engine, replace(config, canary=True), progress=world)
    assert isinstance(outcome, Released) and outcome.in_force and outcome.canary
    assert [release.status for release in history(engine, "desk")] == ["canary"] and world.loaded == {outcome.release}


def test_certified_anew_without_any_in_force_it_waits_for_whoever_knows_the_settings(engine, config, world):
    first = run(engine, config, progress=world).release
    void(engine, first, reason="alarm", now=0.0)
    store(engine, traffic()[ROWS:])
    outcome = run(engine, replace(config, reuse=first), progress=world)
    assert isinstance(outcome, Released) and not outcome.in_force
    assert [release.status for release in history(engine, "desk")] == ["voided", "ready"]


def test_for_another_teacher_and_prompt_recorded_requests_are_asked_anew(engine, config, world):
    first = run(engine, config, progress=world).release
    store(engine, traffic()[ROWS:])
    world.renamed = True  # the student says what the new teacher says
    binding = {**config.binding, "teacher": "openai/new"}
    other = replace(config, reuse=first, teacher="new", binding=binding, anew=Anew("Be brief."))
    outcome = run(engine, other, progress=world)
    assert isinstance(outcome, Released) and outcome.certificate.errors == 0
    uses = used_by(engine, outcome.release)
    assert len(world.asked) == len(uses) and sum(use == "fit" for use in uses.values()) <= FIT_ROWS
    assert {messages[0]["content"] for messages in world.asked} == {"Be brief."}


def test_another_look_at_labels_for_the_same_question_has_less_to_spend(engine, config, world):
    first = run(engine, config, progress=world)
    store(engine, traffic()[ROWS:])
    second = run(engine, replace(config, reuse=first.release), progress=world)
    assert (first.certificate.attempt, second.certificate.attempt) == (1, 2)
    assert second.certificate.delta_spent == pytest.approx(first.certificate.delta_spent / 5)


def used_by(engine, release):
    query = sa.select(row_uses.c.exchange_id, row_uses.c.use).where(row_uses.c.release == release)
    with engine.connect() as connection:
        return {row.exchange_id: row.use for row in connection.execute(query)}


def test_an_adapter_that_cannot_be_certified_anew_is_refused_before_anything_is_written(engine, config, world):
    first = run(engine, config, progress=world).release
    store(engine, traffic()[ROWS:])
    with pytest.raises(CannotReuse, match="an adapter of base, not of other"):
        run(engine, replace(config, reuse=first, train=TrainConfig("other")), progress=world)
    with pytest.raises(ReleaseError, match="no release named"):
        run(engine, replace(config, reuse="nobody"), progress=world)
    assert len(history(engine, "desk")) == 1
    (config.adapters_dir / first / "adapter_model.safetensors").write_bytes(b"altered")
    with pytest.raises(AdapterError, match="was altered"):
        run(engine, replace(config, reuse=first), progress=world)
    assert [release.status for release in history(engine, "desk")] == ["champion", "refused"]


def test_what_fails_is_recorded_and_the_champion_stays(engine, config, world):
    run(engine, config, progress=world)
    store(engine, traffic()[ROWS:])
    for stage in ("broken", "drafts_fail"):
        setattr(world, stage, GatewayUnavailable("the engine is down"))
        with pytest.raises(GatewayUnavailable):
            run(engine, config, progress=world)
    champion, *failed = history(engine, "desk")
    assert (champion.status, [release.status for release in failed]) == ("champion", ["refused"] * 2)
    assert failed[1].refusal["reason"] == "failed: GatewayUnavailable: the engine is down"
    assert not failed[1].refusal["verdict"]
    assert world.loaded == {champion.name}


def test_a_student_that_cannot_be_judged_is_refused_and_not_made_again_of_the_same_rows(engine, config, world):
    world.ends = "length"
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Refused) and "the task's max_tokens; raise it" in outcome.refusal.reason
    assert not outcome.refusal.labels_seen and world.loaded == set()
    found = standing(engine, "desk", teacher="big", window_share=0.5)
    assert (found.attempts, found.refusals, found.new_rows) == (1, 1, 0)


def test_what_quotes_a_request_is_not_recorded(engine, config, world):
    world.broken = ValueError("a request's own words")
    with pytest.raises(ValueError, match="own words"):
        run(engine, config, progress=world)
    (failed,) = history(engine, "desk")
    assert failed.refusal["reason"] == f"failed: ValueError at test_run.py:{failing_line()} (train)"
    assert not failed.refusal["verdict"]


def failing_line():
    source, first = inspect.getsourcelines(World.train)
    return first + next(n for n, line in enumerate(source) if "raise self.broken" in line)


def test_what_is_only_told_costs_no_certified_release(engine, config, *, world, monkeypatch):
    def untold(*_, **__):
        raise GatewayUnavailable("it is away")

    monkeypatch.setattr("distill.attempt.of_window", untold)
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Released) and champions(engine)["desk"].name == outcome.release
    assert outcome.report["untold"] == "GatewayUnavailable: it is away"


def test_a_student_that_the_alarm_overtakes_is_refused(engine, config, world):
    champion = run(engine, config, progress=world).release
    store(engine, traffic()[ROWS:])
    world.meanwhile = lambda: void(engine, champion, reason="alarm", now=time.time())
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Refused) and "before the last was voided" in outcome.refusal.reason
    assert champions(engine) == {} and world.loaded == {champion}


JUDGE = Judge("referee", "openai/referee", "")


@pytest.fixture
def judged(engine, config):
    """A task whose student answers in sentences, and whose judge people have checked."""
    for same, flagged, count in ((False, True, 90), (False, False, 10), (True, False, 100)):
        labels = [JudgedLabel(Pair(f"{same} {flagged} {n}", "a", "b"), same, flagged) for n in range(count)]
        verdicts.label(engine, "desk", judge=JUDGE.fingerprint, labels=labels, now=1.0)
    binding = {**config.binding, **JUDGE.binding}
    return replace(config, measure=JUDGE, binding=binding, contract=Contract(0.1, 0.05))


def test_a_student_that_says_the_same_in_other_words_is_released_by_its_judge(engine, judged, world):
    world.says = lambda answer: f"this is a {answer}"
    outcome = run(engine, judged, progress=world)
    assert isinstance(outcome, Released) and world.judged > 0
    certificate = outcome.certificate
    assert certificate.alpha == 0.1 and 0.07 < certificate.level < 0.1  # nine in ten are caught, and none falsely
    champion = champions(engine)["desk"]
    assert champion.valid(judged.binding) == certificate
    assert champion.report["bound_to"]["judge_labels"] == "200"
    with pytest.raises(ValueError, match="certified with judge_rubric '', and now it is 'amounts'"):
        champion.valid({**judged.binding, "judge_rubric": "amounts"})


def test_answers_that_are_equal_cost_no_judge(engine, judged, world):
    outcome = run(engine, judged, progress=world)
    assert isinstance(outcome, Released) and world.judged == 0
    assert outcome.report["curation"]["words"].endswith(UNCOMPARED)


def test_a_judge_that_is_away_is_no_verdict_on_the_student(engine, judged, world):
    world.says, world.mute = (lambda answer: f"this is a {answer}"), True
    with pytest.MonkeyPatch.context() as patch, pytest.raises(JudgeMute):
        patch.setattr(asking, "RETRY_PAUSES_S", (0.0,))
        run(engine, judged, progress=world)
    assert not history(engine, "desk")[0].refusal["verdict"] and certifying(engine) == set()


def test_without_labelled_pairs_a_judged_run_begins_with_nothing_written(engine, config, world):
    with pytest.raises(JudgeUnchecked, match="tutelage judge check"):
        run(engine, replace(config, measure=JUDGE), progress=world)
    assert history(engine, "desk") == [] and world.steps == []


def test_too_few_rows_change_nothing_and_say_how_many_are_missing(engine, config, world):
    with pytest.raises(TooFewRows, match=r"450 rows before the data cut, 500 are needed .* some 101 more"):
        run(engine, replace(config, min_rows=500), progress=world)
    assert history(engine, "desk") == [] and world.steps == []


def test_a_disk_that_is_almost_full_is_told_before_minutes_of_training(engine, config, world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=300 << 20))
        with pytest.raises(DiskFull, match="300 MiB are free, 1024 are wanted"):
            run(engine, config, progress=world)
    assert history(engine, "desk") == [] and world.steps == []


def test_requests_that_do_not_fit_the_student_are_told_before_minutes_of_training(engine, config, world):
    short = replace(config, train=replace(config.train, max_tokens=64))
    with pytest.raises(
        Unreadable, match=r"asked 0 of \d+ recent requests: .* 64 tokens of student\.max_context_tokens"
    ):
        run(engine, short, progress=world)
    assert history(engine, "desk") == [] and world.rows is None


def test_without_permission_nothing_is_read_or_written(engine, config, world):
    with pytest.raises(HarvestError, match="may_train"):
        run(engine, replace(config, may_train=False), progress=world)
    assert history(engine, "desk") == [] and world.steps == []


def test_rows_of_an_interrupted_training_are_looked_at_again(engine, config, world):
    """With other rows than before it would not go on, and traffic never stops."""
    taught = {}

    def interrupted(rows, *_, out, **__):
        taught[out.name] = [row.exchange_id for row in rows]
        with checkpoints(config.adapters_dir, digest="d", release=out.name) as place:
            folder = place.lesson("rows") / "checkpoint-1"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "weights").write_bytes(b"learned")
            place.seal(folder)
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "train", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run(engine, config, progress=world)
            store(engine, traffic()[ROWS : ROWS + 300])
    first, second = history(engine, "desk")
    assert first.cut_at == second.cut_at and taught[first.name] == taught[second.name]
    assert f"the training of {first.name} was interrupted: it goes on where its rows are the same" in world.steps
    drop(config.adapters_dir, "desk")
    outcome = run(engine, config, progress=world)
    assert isinstance(outcome, Released) and history(engine, "desk")[-1].cut_at > first.cut_at


def test_one_of_several_processes_changes_nothing(engine, config, *, world, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(NotAlone):
        run(engine, config, progress=world)
    assert not history(engine, "desk")
