"""Two gateways over one real PostgreSQL, as the images run them: nothing is lost, one release is in force in both.

TUTELAGE_PYTHON names another interpreter for the parts, such as one that has deploy/gateway.lock alone.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa
import yaml

from bench.parts import Part, started, wait_until
from calibration.familiar import Familiar
from ledger import familiar, releases
from ledger.database import connect
from ledger.ingest import lag_bytes
from ledger.leases import LeaseTaken, held
from ledger.schema import exchanges
from router.settings import load
from tests.ledger.make import certified
from tests.postgres import program, server
from tests.wire.rig import PRICE, free_port
from tests.wire.upstream import Upstream
from tutelage.processes import Program

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("TUTELAGE_PYTHON", sys.executable)
KEY = "sk-of-an-admin"
MESSAGES: list[Any] = [{"role": "user", "content": "Where is my parcel?"}]
SURE = {"features": ["first_logprob"], "means": [0.0], "scales": [1.0], "weights": [1.0], "bias": 5.0}

pytestmark = pytest.mark.skipif(program("initdb") is None, reason="PostgreSQL's initdb is not on this machine")


@dataclass(frozen=True)
class Site:
    """Two gateways, each with its teacher server, spool and ingester, and what they share."""

    config: Path
    ports: list[int]
    parts: dict[str, Part]
    student: Upstream
    teacher: Upstream
    engine: sa.Engine

    def client(self, number: int) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.ports[number]}/v1", api_key=KEY, max_retries=0)

    def ask(self, number: int) -> tuple[str, str]:
        """(route, answer)."""
        raw = self.client(number).chat.completions.with_raw_response.create(
            model="desk", messages=MESSAGES, temperature=0
        )
        return raw.headers["x-tutelage-route"], raw.parse().choices[0].message.content or ""

    def recorded(self) -> int:
        with self.engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(exchanges)).scalar_one()

    def waiting_bytes(self) -> int:
        """Of all spools, not in the ledger yet."""
        return sum(lag_bytes(self.engine, folder) for folder in self.config.parent.glob("spool-*"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(scope="module")
def site(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(postgres, tmp_path_factory.mktemp("site")) as found:
        yield found


@contextmanager
def running(url: str, work: Path) -> Iterator[Site]:
    student, teacher = Upstream(), Upstream()
    config = work / "tutelage.yaml"
    config.write_text(yaml.safe_dump(_values(student, teacher)))
    ports = [free_port(), free_port()]
    programs = [part for number, port in enumerate(ports) for part in _parts(config, url, port=port, number=number)]
    console = _console(config, url)
    try:
        with started([*programs, console], work) as parts:
            engine = connect(url)
            yield Site(config, ports, parts, student, teacher, engine)
            engine.dispose()
    finally:
        student.close()
        teacher.close()


def _values(student: Upstream, teacher: Upstream) -> dict[str, Any]:
    lite = {"model": "openai/upstream-model", "base_url": teacher.url, "price": PRICE}
    return {
        "server": {"api_key": KEY},
        "teachers": {"big": lite},
        "student": {"base_model": "base", "base_url": f"http://127.0.0.1:{student.port}", "price": PRICE},
        "tasks": {"desk": {"teacher": "big", "alpha": 0.1, "rho": 1e-9}},
    }


def _parts(config: Path, url: str, *, port: int, number: int) -> list[Program]:
    """As a pod of deploy/kubernetes has them: by the command line of the images, told apart by the environment."""
    teacher_port = free_port()
    environment = {
        "PYTHONPATH": str(ROOT),
        "OPENAI_API_KEY": "unused",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "TUTELAGE_LEDGER__URL": url,
        "TUTELAGE_LEDGER__SPOOL_DIR": str(config.parent / f"spool-{number}"),
        "TUTELAGE_SERVER__PORT": str(port),
        "TUTELAGE_TEACHER_SERVER__PORT": str(teacher_port),
    }
    ready = {"gateway": f"http://127.0.0.1:{port}/ready", "teacher": f"http://127.0.0.1:{teacher_port}/health"}
    return [
        Program(
            f"{part}-{number}",
            [PYTHON, "-m", "tutelage", "serve", part, "--config", str(config)],
            ready.get(part),
            environment,
        )
        for part in ("ingester", "teacher", "gateway")
    ]


def _console(config: Path, url: str) -> Program:
    """As compose has it, but for its address."""
    port = free_port()
    environment = {"PYTHONPATH": str(ROOT), "TUTELAGE_LEDGER__URL": url, "TUTELAGE_CONSOLE__PORT": str(port)}
    command = [PYTHON, "-m", "tutelage", "serve", "console", "--config", str(config)]
    return Program("console", command, f"http://127.0.0.1:{port}/console/login", environment)


def test_both_gateways_answer_and_every_answer_is_in_the_one_ledger(site):
    before = site.recorded()
    for number in (0, 1, 0, 1):
        route, answer = site.ask(number)
        assert route == "teacher" and answer
    wait_until(lambda: site.recorded() == before + 4)


def test_a_release_is_in_force_in_both_and_a_rollback_too(site):
    settings = load(site.config)
    name = releases.add_candidate(site.engine, task="desk", cut_at=0.0, base_model="base", now=time.time()).name
    known = Familiar.with_all_of([MESSAGES[0]["content"]], seed=0).but(0.0, of=[MESSAGES[0]["content"]])
    lessons = {familiar.BOUND: familiar.keep(site.engine, name, known)}
    values = {**certified(bound_to={**settings.binding("desk"), **lessons}), "calibrator": SURE}
    releases.promote(site.engine, name, values=values, now=time.time())
    for number in (0, 1):
        wait_until(lambda number=number: site.ask(number)[0] == "student")
    releases.void(site.engine, name, reason="a test ends it", now=time.time())
    for number in (0, 1):
        wait_until(lambda number=number: site.ask(number)[0] == "teacher")


def test_the_console_shows_an_admin_and_nobody_else_what_both_have_answered(site):
    chats = [site.client(number).chat.completions.with_raw_response for number in (0, 1)]
    replies = [chat.create(model="desk", messages=MESSAGES).headers for chat in chats]
    home = site.parts["console"].program.ready_url.removesuffix("/login")
    elsewhere = {"host": "console.example.com"}  # its name behind a proxy
    with httpx.Client(headers=elsewhere) as anybody:
        assert anybody.get(home).status_code == 401
        assert anybody.post(f"{home}/login", data={"key": "sk-of-nobody"}).status_code == 403
        assert anybody.post(f"{home}/login", data={"key": KEY}).status_code == 303
        for path in ("", "/tasks/desk", "/charts/savings/desk/light.svg", "/exchanges?text=parcel", "/found"):
            shown = anybody.get(f"{home}{path}")
            assert shown.status_code == 200, path
        for headers in replies:
            page = f"{home}/exchanges/{headers['x-tutelage-exchange-id']}"
            wait_until(lambda page=page: anybody.get(page).status_code == 200)
            assert MESSAGES[0]["content"] in anybody.get(page).text


def test_what_a_killed_gateway_has_answered_is_ingested(site):
    """A pod that dies leaves its segment; the ingester beside the volume moves it, and the pod comes back."""
    gateway, ingester = site.parts["gateway-1"], site.parts["ingester-1"]
    wait_until(lambda: site.waiting_bytes() == 0)
    ingester.kill()
    before = site.recorded()
    for _ in range(3):
        site.ask(1)
    gateway.kill()
    assert site.recorded() == before and site.waiting_bytes() > 0
    ingester.start()
    wait_until(lambda: site.recorded() == before + 3)
    gateway.start()
    gateway.wait_ready()
    assert site.ask(1)[1]


def test_one_holds_a_lease(site):
    mine, yours = (held(site.engine, "distill run desk", holder=f"pod-{name}:1") for name in "ab")
    with mine, pytest.raises(LeaseTaken, match="pod-a:1"), yours:
        pass
    with held(site.engine, "distill run desk", holder="pod-b:1"):
        pass


def test_status_tells_of_the_ledger_though_nothing_of_it_runs_here(site):
    environment = {**os.environ, **site.parts["gateway-0"].program.environment}
    command = [PYTHON, "-m", "tutelage", "status", "--config", str(site.config)]  # in either image
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 1, found.stderr  # no `tutelage up` on this machine
    assert "desk" in found.stdout and "Traceback" not in found.stderr


def test_several_that_start_at_once_on_an_empty_database_all_find_its_newest_schema(postgres):
    with sa.create_engine(postgres, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text("CREATE DATABASE empty"))
    url = postgres.removesuffix("postgres") + "empty"
    script = "import sys; from ledger.database import connect; connect(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    at_once = [subprocess.Popen([PYTHON, "-c", script, url], env=environment) for _ in range(4)]
    assert [one.wait(60) for one in at_once] == [0, 0, 0, 0]
    assert connect(url).dialect.name == "postgresql"
