"""Four tasks' adapters on one engine: each answers as itself, asked side by side, with a slot for each or with fewer.

pytest -m e2e -s tests/e2e/test_several_tasks.py
"""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bench.parts import started
from distill.adapters import AdapterError, AdapterServer
from distill.probe import probe
from distill.retiring import LOOK_S, MARGIN_S, QUIET_S, Retiring, Shelf
from ledger import releases
from ledger.database import connect
from tests.distill.families import FAMILIES
from tests.e2e.test_families import MAX_TOKENS, TAUGHT, show, speaking, taught
from tests.ledger.make import certified
from tutelage.demo.plan import free_ports
from tutelage.processes import Program
from tutelage.provision import Home, ensure_vllm
from tutelage.student_server import StudentServer, command, environment

pytestmark = pytest.mark.e2e
FAMILY = FAMILIES["llama"]
TASKS: dict[str, Callable[[str], str]] = {
    "right": lambda answer: answer,
    "wrong": lambda answer: {"yes": "no", "no": "yes"}[answer],
    "always": lambda _: "yes",
    "never": lambda _: "no",
}
ROUNDS = 5


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Path]]:
    work = tmp_path_factory.mktemp("tasks")
    base, rows = speaking(FAMILY, work), FAMILY.rows(TAUGHT)
    taught_rows = {
        name: [replace(row, completion=answer(row.completion)) for row in rows] for name, answer in TASKS.items()
    }
    return base, {name: taught(base, mine, work / name) for name, mine in taught_rows.items()}


@pytest.fixture(scope="module", params=[5, 2])
def engine(request, adapters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, AdapterServer]]:
    home, (base, folders) = Home.from_environment(), adapters
    ensure_vllm(home, say=print)
    server = StudentServer(
        vllm_env=home.vllm_env,
        model=base,
        served_name="base",
        port=free_ports().student,
        max_model_len=256,
        max_loras=request.param,
        max_cpu_loras=request.param,
        lora_rank=16,
    )
    url = f"http://127.0.0.1:{server.port}"
    logs = tmp_path_factory.mktemp("engine")
    with started([Program("vllm", command(server), f"{url}/health", environment(server))], logs):
        served = AdapterServer(url)
        for name, folder in folders.items():
            served.load(name, folder)
        yield request.param, served


def url_of(server: AdapterServer) -> str:
    return str(server._http.base_url).rstrip("/")


def test_each_is_itself_whatever_was_asked_before(engine, adapters):
    slots, server = engine
    base, folders = adapters
    prompts = [row.messages for row in FAMILY.rows(8)]
    for name, folder in [*folders.items(), *folders.items()]:
        found = probe(server, name, prompts, base_model=base, adapter=folder, max_tokens=MAX_TOKENS)
        show(f"{slots} slots, {name}: {found.to_adapter:.4f} nats to its adapter, {found.to_base:.2f} to the base")
    with pytest.raises(AdapterError, match=r"nats from the adapter's|could be compared"):
        probe(server, "right", prompts, base_model=base, adapter=folders["wrong"], max_tokens=MAX_TOKENS)


def test_asked_side_by_side_each_gives_its_own_answers(engine):
    slots, server = engine
    rows = FAMILY.rows(8)
    asked = [(name, row) for _ in range(ROUNDS) for row in rows for name in TASKS]

    def answer(item) -> str:
        name, row = item
        return server.greedy(name, row.messages, max_tokens=MAX_TOKENS)[0]

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, asked))
    show(f"{slots} slots: {len(asked)} requests of four tasks in {time.monotonic() - began:.1f} s")
    assert answers == [TASKS[name](row.completion) for name, row in asked]


def test_after_a_second_release_the_first_is_no_longer_listed_and_the_second_answers(engine, adapters, tmp_path):
    """In half a second of ours and two minutes of the clock that is passed."""
    (_, server), (_, taught_folders) = engine, adapters
    ledger, began = connect(f"sqlite:///{tmp_path}/ledger.db"), 1000.0
    names = []
    for task in ("right", "wrong"):
        name = releases.add_candidate(ledger, task="desk", cut_at=0.0, base_model="base", now=began).name
        server.load(name, shutil.copytree(taught_folders[task], tmp_path / name))
        releases.promote(ledger, name, values=certified(), now=began)
        names.append(name)
    retiring = Retiring(ledger, Shelf(url_of(server), tmp_path, ["desk"], MARGIN_S))
    before = server.loaded()
    assert set(names) < before and retiring.look(now=began, steady=0.0) == set()
    later = QUIET_S + LOOK_S
    assert retiring.look(now=began + later, steady=later) == {names[0]}
    assert server.loaded() == before - {names[0]}
    row = FAMILY.rows(1)[0]
    assert server.greedy(names[1], row.messages, max_tokens=MAX_TOKENS)[0] == TASKS["wrong"](row.completion)
    with pytest.raises(AdapterError, match="404"):
        server.greedy(names[0], row.messages, max_tokens=MAX_TOKENS)
    server.unload(names[1])
