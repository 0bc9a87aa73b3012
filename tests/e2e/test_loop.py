"""One turn of the loop by itself on an easy task: real vLLM, real LoRA, real LiteLLM, the official client.

Four labels, each named in its message: what is tested is that the parts work together, not that the student is clever.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx
import openai
import orjson
import psutil
import pytest
import sqlalchemy as sa
import yaml

from bench.easy import LABELS, write_easy_task
from bench.parts import Part, started, wait_until
from distill.adapters import AdapterServer
from ledger.database import connect
from ledger.decisions import latest
from ledger.ingest import lag_bytes
from ledger.prices import Price
from ledger.queries import answered_after, rows_used
from ledger.releases import champions, get, history
from ledger.schema import exchanges, feedback, row_uses
from router.http_client import HttpClient
from router.settings import Settings, load
from router.student import VllmStudent
from router.wire import parse_chat
from tutelage.demo.outcome import SEEN_S
from tutelage.demo.plan import TASK, TEACHER, DemoPlan, Ports, free_ports, write_config
from tutelage.demo.run import local_teacher
from tutelage.demo.traffic import Client
from tutelage.processes import BASE_NAME, Program, logs_of, states
from tutelage.provision import Home, ensure_demo_model, ensure_vllm
from tutelage.unmatched import text_id

pytestmark = pytest.mark.e2e
ROWS, SPARE, TURNED = 620, 40, 200


@dataclass(frozen=True)
class Running:
    """The whole product, with a certified student in force."""

    settings: Settings
    engine: sa.Engine
    texts: list[str]
    url: str
    config: Path
    up: Part


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    work = tmp_path_factory.mktemp("loop")
    home = Home.from_environment()
    ensure_vllm(home, say=print)
    ensure_demo_model(home, say=print)
    data = work / "easy.csv"
    texts = write_easy_task(data, rows=ROWS + SPARE, turned=TURNED)
    plan, ports, config = (
        DemoPlan(data, "text", "label", ROWS, SPARE, 2, 0, work / "plot.png"),
        free_ports(),
        work / "t.yaml",
    )
    write_config(config, plan, home=home, ports=ports)
    hasten(config)
    settings = load(config)
    up = Program("up", [sys.executable, "-m", "tutelage", "up", "--config", str(config)], f"{url_of(ports)[:-3]}/ready")
    with started([local_teacher(data, plan, ports), up], work) as parts:
        url = url_of(ports)
        sent = asyncio.run(Client(url, system_prompt=plan.system_prompt).send_all(texts[:ROWS], concurrency=8))
        assert {(s.route, s.reason, s.error) for s in sent} == {("teacher", "no_release", "")}
        engine = connect(settings.ledger.url)
        wait_until(lambda: status_of_first(engine) not in (None, "candidate"), limit_s=600.0)
        assert status_of_first(engine) == "champion", (logs_of(config) / "worker.log").read_text()
        assert latest(engine, TASK)[-1].trigger == "rows"  # at first there were too few
        yield Running(settings, engine, texts, url, config, parts["up"])


def url_of(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.gateway}/v1"


def status_of_first(engine: sa.Engine) -> str | None:
    found = history(engine, TASK)
    return found[0].status if found else None


def hasten(config: Path) -> None:
    """A first run as soon as all rows are there."""
    values = yaml.safe_load(config.read_text())
    values["distill"] |= {"window_share": 0.6, "min_rows": 245}
    config.write_text(yaml.safe_dump(values))


def tutelage(running: Running, *words: str) -> str:
    """What a command says."""
    command = [sys.executable, "-m", "tutelage", *words, "--config", str(running.config)]
    wide = {**os.environ, "COLUMNS": "300"}
    return subprocess.run(command, env=wide, capture_output=True, text=True, check=True).stdout


def ask(running: Running, text: str, *, prompt: str | None = None, **fields):
    client = openai.OpenAI(base_url=running.url, api_key="none", max_retries=0)
    system = prompt or running.settings.tasks[TASK].system_prompt
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    raw = client.chat.completions.with_raw_response.create(model=TEACHER, messages=messages, **fields)
    return raw.headers, raw.parse()


def route_of(running: Running, text: str) -> str:
    """Who answers; "" while nobody does."""
    try:
        return ask(running, text)[0]["x-tutelage-route"]
    except openai.APIError:
        return ""


def engine_of(running: Running) -> list[psutil.Process]:
    """The processes that vLLM's server has started."""
    found = next(state for state in states(logs_of(running.config)) if state.name == "student")
    return psutil.Process(found.pid).children(recursive=True)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def kill(running: Running, name: str) -> None:
    (found,) = (each for each in states(logs_of(running.config)) if each.name == name)
    os.kill(found.pid, signal.SIGKILL)


def in_force(running: Running) -> str:
    return champions(running.engine)[TASK].name


def used_by(engine: sa.Engine, release: str) -> list[tuple[str, str]]:
    query = sa.select(row_uses.c.exchange_id, row_uses.c.use).where(row_uses.c.release == release)
    with engine.connect() as connection:
        return [(row, use) for row, use in connection.execute(query)]


def sure_text(running: Running) -> str:
    """A message that the certified student answers."""
    for text in running.texts[ROWS : ROWS + SPARE]:
        if ask(running, text)[0]["x-tutelage-route"] == "student":
            return text
    raise AssertionError("the student answers none of the spare messages")


def test_the_client_gets_the_students_answer_whole_and_streamed(running):
    text = sure_text(running)
    headers, whole = ask(running, text)
    assert headers["x-tutelage-route"] == "student" and headers["x-tutelage-release"] == f"{TASK}--v000001"
    assert whole.choices[0].message.content in LABELS
    headers, stream = ask(running, text, stream=True)
    assert headers["x-tutelage-route"] == "student"
    joined = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert joined == whole.choices[0].message.content


def test_a_draft_begun_as_a_stream_has_the_evidence_of_the_whole_ones_beginning(running):
    async def drafts():
        async with HttpClient() as http:
            price = Price(0.0, 0.0)
            student = VllmStudent(http, url=running.settings.student.url, price=price, timeout_s=60.0)
            asked = {"model": BASE_NAME, "max_tokens": 60, "prefix": 8}
            ongoing = await student.begin(request, **asked)
            begun = ongoing.draft
            pieces = [piece async for piece in ongoing.pieces()]
            await ongoing.close()
            return begun, pieces, await student.draft(request, **asked)

    said = [{"role": "user", "content": "Tell me about the sea."}]
    request = parse_chat(orjson.dumps({"model": "m", "messages": said}))
    begun, pieces, whole = asyncio.run(drafts())
    assert 8 <= begun.usage.completion_tokens < 60  # with what has come together with the eighth
    assert begun.can_be_accepted(8) and len(pieces) > 1
    assert begun.text + "".join(pieces) == whole.text
    assert begun.evidence.keys() == whole.evidence.keys()
    assert all(begun.evidence[name] == pytest.approx(whole.evidence[name], abs=1e-3) for name in whole.evidence)


def test_a_draft_under_a_schema_is_json_of_it_with_evidence_to_judge_it_by(running):
    topic = {"type": "object", "properties": {"topic": {"enum": LABELS}}, "required": ["topic"]}
    schema = {"name": "topic", "schema": {**topic, "additionalProperties": False}}
    wanted = {"type": "json_schema", "json_schema": schema}

    async def drafted():
        async with HttpClient() as http:
            url = running.settings.student.url
            student = VllmStudent(http, url=url, price=Price(0.0, 0.0), timeout_s=120.0)  # a grammar is compiled
            return await student.draft(request, model=BASE_NAME, max_tokens=48)

    said = [{"role": "user", "content": "Say the topic of: where is my parcel?"}]
    request = parse_chat(orjson.dumps({"model": "m", "messages": said, "response_format": wanted}))
    draft = asyncio.run(drafted())
    assert orjson.loads(draft.text)["topic"] in LABELS and draft.can_be_accepted(None)
    headers, _ = ask(running, sure_text(running), response_format=wanted)
    assert headers["x-tutelage-reason"] == "decoding_mode"  # the release was certified in free text


def test_what_is_unlike_everything_it_has_learned_is_the_teachers(running):
    strange = "Quousque tandem abutere, Catilina, patientia nostra?"
    with pytest.raises(openai.UnprocessableEntityError):  # the teacher's own: it has no label for that
        ask(running, strange)
    query = sa.select(exchanges.c.messages, exchanges.c.draft_text).where(exchanges.c.reason == "unfamiliar")

    def recorded():
        with running.engine.connect() as connection:
            return [row.draft_text for row in connection.execute(query) if row.messages[-1]["content"] == strange]

    wait_until(lambda: recorded() == [None])
    assert "being unlike its lessons" in tutelage(running, "releases", "show", in_force(running))


def test_the_client_gets_the_teachers_answer_whole_and_streamed(running):
    text = running.texts[0]
    headers, whole = ask(running, text, temperature=1)
    assert (headers["x-tutelage-route"], headers["x-tutelage-reason"]) == ("teacher", "sampling")
    headers, stream = ask(running, text, temperature=1, stream=True)
    assert headers["x-tutelage-route"] == "teacher"
    joined = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert joined == whole.choices[0].message.content != ""


def test_a_killed_student_costs_nobody_an_answer_and_comes_back(running):
    text = sure_text(running)
    engine = engine_of(running)
    kill(running, "student")
    replies = [ask(running, text) for _ in range(8)]
    assert {headers["x-tutelage-route"] for headers, _ in replies} == {"teacher"}
    assert {headers["x-tutelage-reason"] for headers, _ in replies} == {"student_unavailable"}
    assert all(completion.choices[0].message.content in LABELS for _, completion in replies)
    # It is started again, and told of the adapter that it has forgotten.
    wait_until(lambda: ask(running, text)[0]["x-tutelage-route"] == "student", limit_s=240.0)
    told = running.up.log.read_text()
    assert "student: " in told and told.count(f"in force: {in_force(running)}") == 2
    assert engine and all(map(gone, engine))  # with the memory that it held


def test_a_killed_supervisor_is_started_again_with_everything(running):
    text = sure_text(running)
    os.kill(int((logs_of(running.config) / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: "supervisord: exited" in running.up.log.read_text())
    wait_until(lambda: route_of(running, text) == "teacher", limit_s=60.0)  # LiteLLM is up before vLLM is
    wait_until(lambda: route_of(running, text) == "student", limit_s=240.0)


def test_it_says_what_runs_and_what_is_in_force(running):
    status = tutelage(running, "status")
    assert all(f"{name}: " in status for name in ("ingester", "student", "teacher", "gateway", "worker"))
    assert f"{in_force(running)} in force since" in status


def test_a_prompt_that_somebody_edited_is_shown_and_made_the_tasks_but_not_yet_the_students(running):
    text, edited = sure_text(running), running.settings.tasks[TASK].system_prompt + " Be brief."

    def reason() -> str:
        return ask(running, text, prompt=edited)[0]["x-tutelage-reason"]

    assert reason() == "no_task"
    wait_until(lambda: lag_bytes(running.engine, running.settings.ledger.spool_dir) == 0)
    shown = tutelage(running, "unmatched")
    assert TASK in shown and "{+Be brief.+}" in shown
    assert f"the most frequent ones are like {TASK}'s" in tutelage(running, "status")
    tutelage(running, "alias", "add", TASK, "--prompt", text_id(edited))
    wait_until(lambda: reason() == "new_alias", limit_s=2.0)
    assert route_of(running, text) == "student"  # with the prompt that it was certified with


def test_a_release_says_what_it_was_made_of_and_people_what_is_right(running):
    shown = tutelage(running, "releases", "show", in_force(running))
    assert "rows that taught" in shown and "validation loss by epoch" in shown
    _, reply = ask(running, sure_text(running))
    said = httpx.post(f"{running.url}/feedback", json={"exchange_id": reply.id, "correction": LABELS[0]})
    assert said.status_code == 200
    told = sa.select(feedback.c.correction).where(feedback.c.exchange_id == said.json()["exchange_id"])

    def kept() -> bool:
        with running.engine.connect() as connection:
            return connection.execute(told).scalar() == LABELS[0]

    wait_until(kept)


def test_no_row_that_taught_has_certified(running):
    before = set[str]()
    for release in history(running.engine, TASK):
        uses = used_by(running.engine, release.name)
        assert {use for _, use in uses} - {"reject"} == {"train", "validate", "fit", "certify"}
        assert not before & {row for row, use in uses if use == "certify"}
        before |= {row for row, _ in uses}


def test_where_the_teacher_begins_to_answer_otherwise_the_alarm_closes_the_task_for_good(running):
    name = champions(running.engine)[TASK].name
    turned = cycle(running.texts[ROWS + SPARE :])

    def closed() -> bool:
        return route_of(running, next(turned)) == "teacher" and TASK not in champions(running.engine)

    wait_until(closed, limit_s=180.0)
    voided = get(running.engine, name)
    assert voided.status == "voided" and voided.refusal["reason"].startswith("alarm: ")
    later = [ask(running, text) for text in running.texts[ROWS : ROWS + SPARE]]
    assert {headers["x-tutelage-reason"] for headers, _ in later} == {"no_release"}
    wait_until(lambda: lag_bytes(running.engine, running.settings.ledger.spool_dir) == 0)
    assert answered_after(running.engine, name, since=0.0) > 10
    assert answered_after(running.engine, name, since=voided.changed_at + SEEN_S) == 0


def test_an_adapter_whose_release_has_ended_leaves_the_engine_and_stays_on_disk_for_a_certificate_anew(running):
    ended = [release for release in history(running.engine, TASK) if release.status == "voided"][-1]
    server = AdapterServer(running.settings.student.url)
    wait_until(lambda: ended.name not in server.loaded(), limit_s=180.0)
    assert server.base() in server.loaded() and Path(ended.adapter_path).is_dir()
    assert f"{ended.name}: its adapter is taken off the student" in running.up.log.read_text()


def test_what_is_forgotten_takes_the_adapter_that_learned_from_it_along(running):
    first = get(running.engine, f"{TASK}--v000001")
    learned, text = learned_by(running)
    assert first.name in tutelage(running, "forget", "--exchange", learned)
    assert Path(first.adapter_path).is_dir() and text in ledger_files(running)
    assert "forgotten" in tutelage(running, "forget", "--exchange", learned, "--yes")
    assert not Path(first.adapter_path).exists()
    assert first.name not in AdapterServer(running.settings.student.url).loaded()
    assert get(running.engine, first.name).gone and text not in ledger_files(running)


def learned_by(running: Running) -> tuple[str, bytes]:
    """The last exchange that has taught, and what it asks."""
    learned = max(row for row, uses in rows_used(running.engine, TASK).items() if uses == {"train"})
    with running.engine.connect() as connection:
        asked = connection.execute(sa.select(exchanges.c.messages).where(exchanges.c.id == learned)).scalar_one()
    return learned, asked[-1]["content"].encode()


def ledger_files(running: Running) -> bytes:
    kept = Path(str(running.engine.url.database))
    return b"".join(path.read_bytes() for path in kept.parent.glob(f"{kept.name}*"))
