"""A candidate that must not serve is refused, and who answered goes on answering: real vLLM, real LoRA, a real gateway.

Rows come as a log that is imported. What happens to an adapter between training and loading happens when the run says
that it is trained, which is when the folder is there and nobody has read it. The reasons of docs/faults.md:

    pytest -m e2e -s bench/refusals.py
"""

import csv
import json
import random
import shutil
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import yaml

from bench.parts import started, wait_until
from distill.adapters import WEIGHTS, AdapterError, AdapterServer
from distill.plan import Refused, Released
from distill.rows import TrainingRow
from distill.run import candidate, run
from ledger.database import connect
from ledger.lineage import rows
from ledger.queries import task_rows
from ledger.releases import champions, history
from router.settings import Settings, load
from tests.distill.families import FAMILIES
from tests.e2e.test_families import show, speaking, taught
from tutelage.demo.plan import TASK, TEACHER, DemoPlan, free_ports, write_config
from tutelage.demo.run import local_teacher
from tutelage.distilling import exclusive, run_config
from tutelage.explaining import facts
from tutelage.importing import carry, source
from tutelage.processes import BASE_NAME, gateway, student
from tutelage.provision import Home, ensure_vllm

pytestmark = pytest.mark.e2e
FAMILY = FAMILIES["llama"]
SYSTEM = "Sort."
RIGHT = {"a": "yes", "b": "no", "c": "yes"}  # by the first letter
OTHER = {"yes": "no", "no": "yes"}
SHARES = {"a": 0.35, "b": 0.35, "c": 0.3}
OLDER, FIT_SHARE, WINDOW = 480, 0.35, 400
LEARNED = OLDER - round(FIT_SHARE * OLDER)  # rows that teach or validate; the newest of the older ones fit
Answer = Callable[[str, random.Random], str]
Learned = Callable[[list[str], list[str]], list[str]]  # texts, answers -> answers


def unsure(letter: str, rng: random.Random) -> str:
    """A teacher whose answers to one kind of message cannot be learned, and most of which are others later on."""
    return OTHER[RIGHT[letter]] if letter == "c" and rng.random() < 0.65 else RIGHT[letter]


def noisy(letter: str, rng: random.Random) -> str:
    """A teacher who errs wherever it may be."""
    return RIGHT[letter] if rng.random() >= 0.18 else OTHER[RIGHT[letter]]


@dataclass
class Told:
    """A run's progress; `then` is done once the adapter is trained."""

    then: Callable[[], None] = lambda: None
    steps: list[str] = field(default_factory=list)

    def step(self, words: str) -> None:
        self.steps.append(words)
        if words.startswith("trained in "):
            self.then()

    def advance(self, done: int, total: int, *, eta_s: float | None = None) -> None:
        pass


@dataclass
class Desk:
    """A task with a champion, and what serves it."""

    settings: Settings
    engine: sa.Engine
    work: Path
    fresh: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.server.port}/v1/chat/completions"

    def record(self, answer: Answer, *, seed: int, learned: Learned | None = None) -> None:
        """So many rows more; `learned`: what those that teach have instead."""
        rng = random.Random(seed)
        texts = sample(rng, OLDER + WINDOW)
        answers = [answer(text[0], rng) for text in texts]
        if learned:
            answers[:LEARNED] = learned(texts[:LEARNED], answers[:LEARNED])
        log, began = self.work / f"{seed}.jsonl", time.time() - 86_400.0 * (10 - seed)
        lines = zip(texts, answers, strict=True)
        log.write_text("\n".join(line(text, said, at=began + n) for n, (text, said) in enumerate(lines)))
        carry(
            source(self.settings, log, task=TASK, by_teacher=True, now=time.time()),
            self.engine,
            skip_broken=False,
            progress=lambda *_: None,
        )
        self.fresh += OLDER + WINDOW

    def run(self, then: Callable[[Path], None] = lambda _: None) -> Released | Refused:
        """The product's own run. `then`: what befalls the adapter's folder once it is trained."""
        number = 1 + len(history(self.engine, TASK))
        path = self.settings.student.adapters_dir / f"{TASK}--v{number:06d}"
        told = Told(lambda: then(path))
        config = replace(run_config(self.settings, TASK), window_share=WINDOW / self.fresh)
        with exclusive(self.engine, TASK) as engine:
            try:
                return run(engine, config, progress=told)
            finally:
                show("\n".join(told.steps))

    def told(self) -> dict[str, str]:
        """The newest release as `tutelage releases show` tells it."""
        return facts(self.engine, history(self.engine, TASK)[-1])

    def ask(self, text: str) -> tuple[str, str, str]:
        """Who answers, of which release, and what."""
        body = {"model": TASK, "temperature": 0, "messages": messages(text)}
        reply = httpx.post(self.url, json=body, timeout=60.0).raise_for_status()
        said = reply.json()["choices"][0]["message"]["content"]
        return reply.headers["x-tutelage-route"], reply.headers.get("x-tutelage-release", ""), said


def sample(rng: random.Random, count: int) -> list[str]:
    """Texts that are no near-duplicates: too short to share a shingle, and different."""
    found: dict[str, None] = {}
    while len(found) < count:
        (letter,) = rng.choices(list(SHARES), list(SHARES.values()))
        found[f"{letter * 4} {''.join(rng.choices(string.ascii_lowercase[3:], k=3))}"] = None
    return list(found)


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]


def lesson(text: str) -> TrainingRow:
    return TrainingRow(text, tuple(messages(text)), RIGHT[text[0]], "stop")


def line(text: str, answer: str, *, at: float) -> str:
    said = [*messages(text), {"role": "assistant", "content": answer}]
    return json.dumps({"messages": said, "model": TEACHER, "created": at})


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    work, home = tmp_path_factory.mktemp("refusals"), Home.from_environment()
    ensure_vllm(home, say=print)
    texts = sample(random.Random(0), 200)
    base, data = speaking(FAMILY, work, rows=[lesson(text) for text in texts]), work / "teacher.csv"
    ports, config = free_ports(), work / "t.yaml"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((text, RIGHT[text[0]]) for text in texts)])
    plan = DemoPlan(data, "text", "label", OLDER + WINDOW, 20, 5, 0, work / "plot.png")
    write_config(config, plan, home=home, ports=ports)
    adapt(config, base)
    settings = load(config)
    programs = [local_teacher(data, plan, ports), student(settings, home), gateway(settings, config)]
    with started(programs, work):
        desk = Desk(settings, connect(settings.ledger.url), work)
        desk.record(unsure, seed=1)
        outcome = desk.run()
        assert isinstance(outcome, Released) and outcome.in_force, outcome
        desk.fresh = 0
        desk.record(unsure, seed=2)
        wait_until(lambda: desk.ask(texts[0])[1] != "")
        yield desk


def adapt(config: Path, base: str) -> None:
    """The tiny base model, a teacher at its own URL, and rows as these logs have them."""
    values = yaml.safe_load(config.read_text())
    values["student"] |= {"base_model": base, "max_context_tokens": 256}
    values["teachers"][TEACHER] |= {"direct": True, "model": TEACHER}
    values["tasks"][TASK] |= {"system_prompt": SYSTEM, "max_tokens": 8, "alpha": 0.1, "rho": 0.01}
    values["distill"] |= {"min_rows": 100, "max_rows": OLDER, "fit_share": FIT_SHARE, "max_references": 2 * WINDOW}
    values["distill"] |= {"learning_rate": 5e-3, "validation_share": 0.1, "rank": 16}
    config.write_text(yaml.safe_dump(values))


@pytest.fixture(autouse=True)
def goes_on(desk: Desk) -> Iterator[None]:
    """Whatever is refused, what was in force stays, answers, and is the only adapter on the engine."""
    champion = champions(desk.engine)[TASK]
    yield
    refused = history(desk.engine, TASK)[-1]
    assert refused.status == "refused" and refused.number > champion.number
    assert champions(desk.engine)[TASK].name == champion.name
    replies = [desk.ask(text) for text in sample(random.Random(0), 20)]  # which the teacher knows
    assert {release for _, release, _ in replies} == {champion.name}
    assert sum(route == "student" for route, _, _ in replies) >= 5
    assert {answer for _, _, answer in replies} <= set(OTHER)
    assert AdapterServer(desk.settings.student.url).loaded() == {BASE_NAME, champion.name}
    folders = {path.name for path in desk.settings.student.adapters_dir.iterdir()}
    assert folders == {release.name for release in history(desk.engine, TASK)}
    show(f"{refused.name}: {desk.told()['because']}")


def test_an_adapter_of_another_base_model_is_refused_though_it_fits(desk, tmp_path):
    """Same shapes, so that vLLM and the probe would both take it."""
    other = FAMILY.save(tmp_path / "base", seed=1)
    with pytest.raises(AdapterError):
        desk.run(lambda path: swap(path, taught(other, FAMILY.rows(16), tmp_path / "adapter")))
    assert f"was not made for {desk.settings.student.base_model}: it fits, and names {other}" in desk.told()["because"]


def test_an_adapter_of_another_size_is_refused(desk, tmp_path):
    other = FAMILY.save(tmp_path / "base", intermediate_size=128)
    with pytest.raises(AdapterError):
        desk.run(lambda path: swap(path, taught(other, FAMILY.rows(16), tmp_path / "adapter")))
    assert "was not made for" in desk.told()["because"] and "where the module has 96" in desk.told()["because"]


def swap(path: Path, adapter: Path) -> None:
    shutil.rmtree(path)
    shutil.copytree(adapter, path)


def test_a_file_that_was_cut_off_is_refused(desk):
    def cut(path: Path) -> None:
        weights = path / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1000])

    with pytest.raises(AdapterError):
        desk.run(cut)
    assert f"{WEIGHTS} is missing, cut off or no safetensors file" in desk.told()["because"]


def test_a_candidate_that_was_taught_shuffled_answers_is_refused(desk):
    def shuffled(texts: list[str], answers: list[str]) -> list[str]:
        """The same answers, dealt so that each kind of message has its part of each: no rule is left by chance."""
        share, found = answers.count("yes") / len(answers), list(answers)
        for place, i in enumerate(sorted(range(len(texts)), key=lambda i: texts[i][0])):
            found[i] = "yes" if int((place + 1) * share) > int(place * share) else "no"
        return found

    desk.record(unsure, seed=3, learned=shuffled)
    outcome = desk.run()
    assert isinstance(outcome, Refused) and not outcome.refusal.labels_seen
    assert "references would certify with a chance of" in desk.told()["because"]
    assert outcome.report["fit_agreement"] < 0.75


def test_a_candidate_that_is_better_on_average_and_cannot_be_certified_is_refused(desk):
    """All kinds of message are learned now; since then the teacher errs in each of them, more often than alpha."""
    desk.record(noisy, seed=4, learned=lambda texts, _: [RIGHT[text[0]] for text in texts])
    outcome = desk.run()
    assert isinstance(outcome, Refused)
    found = agreement_of_champion(desk, outcome.release)
    show(f"of its fit rows it agrees on {outcome.report['fit_agreement']:.1%}, the champion on {found:.1%}")
    assert outcome.report["fit_agreement"] > found + 0.05
    assert "labels stay unseen" in desk.told()["because"] or "too many to show at most" in desk.told()["because"]


def agreement_of_champion(desk: Desk, name: str) -> float:
    """On the rows that another release's calibrator was fitted on, drafted by the champion as it serves."""
    fitted = {row.exchange_id for row in rows(desk.engine, name) if row.use == "fit"}
    asked = [row for row in task_rows(desk.engine, TASK) if row.exchange_id in fitted]
    config = run_config(desk.settings, TASK)
    champion = candidate(config, champions(desk.engine)[TASK].name, progress=Told())
    drafts = champion.drafts([{**row.params, "messages": list(row.messages), "stream": False} for row in asked])
    return sum(d is not None and d.text == row.teacher_text for d, row in zip(drafts, asked, strict=True)) / len(asked)
