"""What taught the champion is forgotten: the teacher answers, and the next student comes by itself, without it.

The stack of `tests/e2e/test_loop.py`, real vLLM and real LoRA; two trainings, some ten minutes on two cores, and so
none of the tests that run each time:

    pytest -m e2e bench/forgetting.py
"""

import asyncio
from pathlib import Path

import pytest
import yaml

from bench.easy import write_easy_task
from bench.parts import wait_until
from distill.adapters import AdapterServer
from ledger.decisions import latest
from ledger.releases import champions, get, history
from tests.e2e import test_loop
from tests.e2e.test_loop import (
    ROWS,
    SPARE,
    Running,
    ask,
    learned_by,
    ledger_files,
    running,
    sure_text,
    tutelage,
    used_by,
)
from tutelage.demo.plan import TASK
from tutelage.demo.traffic import Client

pytestmark = pytest.mark.e2e
AGAIN = 620  # requests after it; the newer three fifths of them certify the next one
__all__ = ["running"]  # the fixture


@pytest.fixture(autouse=True, scope="module")
def more() -> None:
    """More messages than the tests have, and a second run once that many references are there."""
    hasten = test_loop.hasten

    def wait_for_references(config: Path) -> None:
        hasten(config)
        values = yaml.safe_load(config.read_text())
        values["distill"]["min_references"] = 350
        config.write_text(yaml.safe_dump(values))

    def longer(path: Path, *, rows: int, turned: int) -> list[str]:
        return write_easy_task(path, rows=rows + AGAIN, turned=turned)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_loop, "hasten", wait_for_references)
        patch.setattr(test_loop, "write_easy_task", longer)
        yield


def test_what_taught_the_champion_is_forgotten_and_the_next_one_comes_by_itself_without_it(running: Running) -> None:
    first = champions(running.engine)[TASK]
    learned, text = learned_by(running)
    told = tutelage(running, "forget", "--exchange", learned, "--yes")
    assert f"{TASK}: the teacher answers" in told and f"{TASK}: retraining is due" in told
    assert not Path(first.adapter_path).exists() and text not in ledger_files(running)
    assert first.name not in AdapterServer(running.settings.student.url).loaded()
    assert get(running.engine, first.name).gone
    assert f"{first.name} had learned from what is forgotten" in tutelage(running, "status")
    wait_until(lambda: _reason(running, running.texts[ROWS]) == "no_release", limit_s=2.0)
    client = Client(running.url, system_prompt=running.settings.tasks[TASK].system_prompt)
    sent = asyncio.run(client.send_all(running.texts[ROWS + SPARE :][:AGAIN], concurrency=8))
    assert {(each.route, each.reason, each.error) for each in sent} == {("teacher", "no_release", "")}
    wait_until(lambda: TASK in champions(running.engine) or "refused" in _statuses(running), limit_s=900.0)
    assert "refused" not in _statuses(running), tutelage(running, "decisions", TASK)
    second = champions(running.engine)[TASK]
    assert ("train", "forgotten") in [(each.action, each.trigger) for each in latest(running.engine, TASK)]
    uses = dict(used_by(running.engine, second.name))
    assert learned not in uses and len(uses) > 350
    certified = {row for row, use in used_by(running.engine, first.name) if use == "certify"}
    assert certified and not certified & {row for row, use in uses.items() if use == "certify"}
    assert sure_text(running)


def _reason(running: Running, text: str) -> str:
    return ask(running, text)[0]["x-tutelage-reason"]


def _statuses(running: Running) -> set[str]:
    return {release.status for release in history(running.engine, TASK)}
