"""Two real engines behind one name: each is probed, each is heard after a restart; one that serves something else is
left out and named.

pytest -m e2e -s bench/engines.py
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench.parts import started
from distill.adapters import AdapterError
from distill.candidate import keep_recital
from distill.fleet import AdapterFleet
from distill.probe import probe
from distill.recital import load_heard
from distill.train import TrainConfig
from tests.distill.families import FAMILIES
from tests.e2e.test_families import CONTEXT, MAX_TOKENS, TAUGHT, show, speaking, taught
from tutelage.demo.plan import free_ports
from tutelage.processes import Program
from tutelage.provision import Home, ensure_vllm
from tutelage.student_server import LOCALHOST, StudentServer, command, environment

pytestmark = pytest.mark.e2e
FAMILY, NAME = FAMILIES["llama"], "toy--v000001"
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
Start = Callable[[str, str], AbstractContextManager[None]]


@pytest.fixture
def port() -> int:
    return free_ports().student


@pytest.fixture
def start(tmp_path: Path, port: int) -> Start:
    """An engine with a base model at an address, for a while."""
    home = Home.from_environment()
    ensure_vllm(home, say=print)

    def engine(address: str, base: str) -> AbstractContextManager[None]:
        server = StudentServer(
            vllm_env=home.vllm_env,
            model=base,
            served_name="base",
            port=port,
            max_model_len=CONTEXT,
            max_loras=2,
            max_cpu_loras=4,
            lora_rank=16,
        )
        words = [address if word == LOCALHOST else word for word in command(server)]
        logs = tmp_path / address
        logs.mkdir(exist_ok=True)
        return started([Program("vllm", words, f"http://{address}:{port}/health", environment(server))], logs)

    return engine


@pytest.fixture
def fleet(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[AdapterFleet]:
    resolve = socket.getaddrinfo

    def addresses(host, *args, **options):
        if host != "student-engines":
            return resolve(host, *args, **options)
        return [found for address in (FIRST, SECOND) for found in resolve(address, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    yield AdapterFleet(f"http://student-engines:{port}")


def test_an_engine_that_comes_back_with_another_base_model_is_left_out_and_named(start, fleet, tmp_path):
    base, other = speaking(FAMILY, tmp_path / "one"), speaking(FAMILY, tmp_path / "two", seed=1)
    adapter = taught(base, FAMILY.rows(TAUGHT), tmp_path / "right")
    prompts = [row.messages for row in FAMILY.rows(8)]

    def probed() -> None:
        probe(fleet, NAME, prompts, base_model=base, adapter=adapter, max_tokens=MAX_TOKENS)

    with start(FIRST, base):
        with start(SECOND, base):
            fleet.load(NAME, adapter)
            probed()
            keep_recital(fleet, NAME, path=adapter, config=TrainConfig(base, max_tokens=CONTEXT))
        with pytest.raises(AdapterError, match=rf"1 of 2 engines failed: http://{SECOND}"):
            load_heard(fleet, NAME, adapter)  # it is down
        with start(SECOND, other):
            with pytest.raises(AdapterError, match=rf"1 of 2 engines failed: http://{SECOND}") as heard:
                load_heard(fleet, NAME, adapter)
            show(f"heard: {heard.value}")
            first, second = fleet.engines()
            assert NAME in first.loaded() and NAME not in second.loaded()
            second.load(NAME, adapter)
            with pytest.raises(AdapterError, match=rf"at http://{SECOND}") as refused:
                probed()
            show(f"probed: {refused.value}")
            assert f"http://{FIRST}" not in str(refused.value)
            fleet.unload(NAME)
            assert NAME not in first.loaded() | second.loaded()
