"""Dollars by hand: what each kind of request costs, through a real gateway, its spool and the ledger to /metrics.

The teacher takes $1 for a million tokens read and $2 for written ones, the student the same; kinds as in KINDS. Before
the end the gateway is killed in the middle of a stream and started again: nothing is lost or counted twice.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.savings import by_task
from ledger.schema import exchanges, teacher_replies
from tests.wire.answers import TEXT
from tests.wire.rig import MESSAGES, PRICE, Rig, running, wait_for
from tests.wire.upstream import Act, breaking, first, saying, stalling, status

pytestmark = pytest.mark.e2e

KINDS = {
    **PRICE,
    "cached_input_usd_per_mtok": 0.1,
    "cache_write_usd_per_mtok": 1.25,
    "audio_input_usd_per_mtok": 30.0,
    "audio_output_usd_per_mtok": 60.0,
    "reasoning_usd_per_mtok": 4.0,
    "above": {100_000: {"input_usd_per_mtok": 2.0, "output_usd_per_mtok": 3.0}},
}
BEGUN = "The parcel left the depot this"  # what is there of a stream that stalls or is cut off: seven tokens by length
ASKED = len(MESSAGES[0]["content"]) // 4  # four tokens by length
Costs = dict[tuple[str, str], float]


def counting(prompt: int, completion: int, *, read: dict[str, int] | None = None, said: dict[str, int] | None = None):
    """An upstream that answers, and counts so many tokens, of kinds."""
    sums: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    return saying(counted={**sums, "prompt_tokens_details": read or {}, "completion_tokens_details": said or {}})


PLAIN = counting(50_000, 10_000)  # 5 cents and 2 cents


@dataclass(frozen=True)
class Case:
    """A request to this model, what the teacher does and drafts count, and what it costs, in dollars."""

    name: str
    model: str
    teacher: Act
    teacher_usd: float = 0.0
    draft_usd: float = 0.0
    reference_usd: float = 0.0
    stream: bool = False
    leaves: bool = False
    task: str = ""  # as its model

    @property
    def costs(self) -> Costs:
        by = {"teacher": self.teacher_usd, "draft": self.draft_usd, "reference": self.reference_usd}
        return {(self.task or self.model, component): usd for component, usd in by.items() if usd}


CASES = [
    Case("whole", "fresh", PLAIN, 0.05 + 0.02),
    Case("streamed", "fresh", PLAIN, 0.05 + 0.02, stream=True),
    Case("read before", "fresh", counting(50_000, 0, read={"cached_tokens": 40_000}), 0.01 + 0.004),
    Case("kept to be read", "fresh", counting(50_000, 0, read={"cache_creation_tokens": 40_000}), 0.01 + 0.05),
    Case("reasoning", "fresh", counting(10_000, 10_000, said={"reasoning_tokens": 9_000}), 0.01 + 0.002 + 0.036),
    Case(
        "reasoning, streamed",
        "fresh",
        counting(10_000, 9_000, said={"reasoning_tokens": 9_000}),
        0.01 + 0.036,
        stream=True,
    ),
    Case("heard", "fresh", counting(10_000, 0, read={"audio_tokens": 9_000}), 0.001 + 0.27),
    Case("spoken", "fresh", counting(10_000, 1_000, said={"audio_tokens": 500}), 0.01 + 0.001 + 0.03),
    Case("a long prompt", "fresh", counting(150_000, 10_000), 0.30 + 0.03),
    Case("no usage told", "fresh", saying(counted=None), (ASKED + 2 * (len(TEXT) // 4)) / 1e6),
    Case("cut off by the teacher", "fresh", breaking(after=7, cut=True), (ASKED + 2 * 7) / 1e6, stream=True),
    Case("left by the client", "fresh", stalling, (ASKED + 2 * 7) / 1e6, stream=True, leaves=True),
    Case("refused by the teacher", "fresh", status(400)),
    Case("tried again", "patient", first(1, status(503)), (17 + 2 * 12) / 1e6, task="none"),
    Case("a rejected draft", "doubt", PLAIN, 0.07, draft_usd=0.02 + 0.01),
    Case("a student's answer, heard", "desk", PLAIN, draft_usd=0.02 + 0.01, reference_usd=0.07),
    Case("the same, streamed", "desk", PLAIN, draft_usd=0.02 + 0.01, reference_usd=0.07, stream=True),
    Case(
        "through LiteLLM",
        "lite",
        counting(50_000, 10_000, read={"cached_tokens": 40_000}, said={"reasoning_tokens": 9_000}),
        0.01 + 0.004 + 0.002 + 0.036,
        task="none",
    ),
    Case(
        "through LiteLLM, streamed",
        "lite",
        counting(50_000, 10_000, read={"cached_tokens": 40_000}, said={"reasoning_tokens": 9_000}),
        0.01 + 0.004 + 0.002 + 0.036,
        stream=True,
        task="none",
    ),
]


def _kinds(values: dict[str, Any]) -> None:
    for each in values["teachers"].values():
        each["price"] = KINDS
    values["tasks"]["desk"]["rho"] = 1.0 - 1e-9  # every answer of the student is heard


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("money"), adapt=_kinds) as found:
        yield found


@dataclass(frozen=True)
class Books:
    """Both views of one ledger."""

    rig: Rig
    engine: sa.Engine

    def settle(self) -> None:
        """Until everything that was asked is in the ledger, labels too."""
        wait_for(self._settled)

    def _settled(self) -> bool:
        ingest_once(self.engine, self.rig.settings.ledger.spool_dir)
        heard = sa.select(sa.func.count()).where(exchanges.c.reference, exchanges.c.route == "student")
        labels = sa.select(sa.func.count()).where(teacher_replies.c.background)
        with self.engine.connect() as connection:
            drawn, labelled = (connection.execute(query).scalar_one() for query in (heard, labels))
        return drawn == labelled and self.rig.teacher.active == 0

    def shown(self) -> Costs:
        """By /metrics."""
        with self.rig.client() as client:
            lines = client.get("/metrics").text.splitlines()
        found: Costs = {}
        for line in lines:
            if line.startswith("tutelage_cost_usd_total{"):
                labels, _, value = line.partition("{")[2].partition("} ")
                named = dict(part.split("=") for part in labels.replace('"', "").split(","))
                found[named["task"], named["component"]] = float(value)
        return found

    def summed(self) -> Costs:
        """By the ledger."""
        saved = by_task(self.engine)
        return {(task or "none", name): usd for task, found in saved.items() for name, usd in found.costs.items()}


def ask(rig: Rig, case: Case) -> None:
    asked = len(rig.teacher.seen)
    with rig.teacher.doing(case.teacher), rig.student.doing(counting(20_000, 5_000)):
        if case.leaves:
            _leave(rig, case)
        else:
            rig.ask(case.model, stream=case.stream)
            wait_for(lambda: len(rig.teacher.seen) > asked and rig.teacher.active == 0)  # a label comes afterwards


def _leave(rig: Rig, case: Case) -> None:
    """Once what there is of the stream has come."""
    left, body = rig.answered().get(("none", "499"), 0.0), {"model": case.model, "messages": MESSAGES, "stream": True}
    with rig.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as response:
        next(line for line in response.iter_lines() if "this" in line)
    wait_for(lambda: rig.answered().get(("none", "499"), 0.0) == left + 1)


def kill(rig: Rig) -> None:
    """The gateway, in the middle of a stream, and start it again."""
    body = {"model": "fresh", "messages": MESSAGES, "stream": True}
    with (
        rig.teacher.doing(stalling),
        rig.client() as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        lines = response.iter_lines()
        next(line for line in lines if "this" in line)
        rig.parts["gateway"].kill()
        with pytest.raises(httpx.HTTPError):
            list(lines)
    rig.parts["gateway"].start()
    rig.parts["gateway"].wait_ready()
    wait_for(lambda: httpx.get(f"{rig.url}/ready").status_code == 200)


def gained(before: Costs, after: Costs) -> Costs:
    return {key: usd - before.get(key, 0.0) for key, usd in after.items() if abs(usd - before.get(key, 0.0)) > 1e-12}


def test_every_request_costs_what_it_costs_and_a_killed_gateway_loses_and_doubles_nothing(rig):
    books = Books(rig, connect(rig.settings.ledger.url))
    books.settle()
    began = books.shown()
    expected: Counter[tuple[str, str]] = Counter()
    for number, case in enumerate(CASES):
        before = books.shown()
        ask(rig, case)
        books.settle()
        after = books.shown()
        assert gained(before, after) == pytest.approx(case.costs, abs=1e-12), case.name
        assert books.summed() == pytest.approx({key: usd for key, usd in after.items() if key in books.summed()})
        expected.update(case.costs)
        if number == len(CASES) // 2:
            ask(rig, CASES[0])  # recorded in the spool of the killed process alone
            expected.update(CASES[0].costs)
            kill(rig)
            books.settle()
            assert gained(began, books.shown()) == pytest.approx(dict(expected), abs=1e-9), "after the kill"
    assert gained(began, books.shown()) == pytest.approx(dict(expected), abs=1e-9)
    books.engine.dispose()
