"""A first student tried beside its teacher and promoted; then the same adapter certified anew, tried beside it, altered
and unloaded behind the gateway's back: the worker, killed meanwhile, ends that trial, and no client sees an error.

Real vLLM, real LoRA, real LiteLLM, the official client. Some ten minutes on two cores:

    pytest -m e2e -s bench/canary.py
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from bench.easy import write_easy_task
from bench.parts import wait_until
from bench.product import Product
from ledger.decisions import latest
from ledger.releases import champions, get, history
from tutelage.demo.plan import TASK
from tutelage.demo.traffic import Client, Sent
from tutelage.provision import Home, ensure_demo_model, ensure_vllm

pytestmark = pytest.mark.e2e
FIRST, LATER, ON_TRIAL = 620, 320, 1500
BATCH = 20
CANARY = {
    "share": 0.3,
    "min_requests": 40,
    "max_slowdown": None,
}  # the local teacher is quicker than a student on a CPU


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Iterator[str]]]:
    work, home = tmp_path_factory.mktemp("canary"), Home.from_environment()
    ensure_vllm(home, say=print)
    ensure_demo_model(home, say=print)
    texts = write_easy_task(work / "easy.csv", rows=FIRST + LATER + ON_TRIAL)
    task = {"alpha": 0.3, "rho": 0.9, "max_tokens": 16, "alarm_references": 1e6}
    rows = {"window_share": 0.6, "min_rows": 240, "max_rows": 1000, "min_references": 60, "max_references": 150}
    distill = {**rows, "epochs": 1, "max_escalation_rate": 0.999, "new_rows": 100_000}
    product = Product(work, home, work / "easy.csv", task=task, distill=distill, canary=CANARY)
    with product.up():
        yield product, iter(texts)


def send(product: Product, texts: Iterator[str], count: int) -> list[Sent]:
    """So many conversations; none of them may see an error."""
    client = Client(product.url, system_prompt=product.plan.system_prompt)
    sent = asyncio.run(client.send_all([next(texts) for _ in range(count)], concurrency=4))
    assert not [each.error for each in sent if each.error]
    return sent


def until_decided(product: Product, texts: Iterator[str], name: str) -> Counter[tuple[str, str]]:
    """Traffic in small parts for as long as a trial lasts: how often each route was taken, and why."""
    routes = Counter[tuple[str, str]]()
    began = time.monotonic()
    while get(product.engine, name).status == "canary":
        assert time.monotonic() - began < 200.0, "the trial goes on and on"
        routes += Counter((each.route, each.reason) for each in send(product, texts, BATCH))
        time.sleep(2.0)
    print(f"{name} is {get(product.engine, name).status} after {time.monotonic() - began:.0f} s: {dict(routes)}")
    return routes


def test_a_student_is_tried_and_promoted_and_one_that_fails_is_rolled_back(desk):
    product, texts = desk
    send(product, texts, FIRST)
    wait_until(lambda: any(each.status != "candidate" for each in history(product.engine, TASK)), limit_s=420.0)
    (first,) = history(product.engine, TASK)
    assert first.status == "canary", (product.logs / "worker.log").read_text()
    routes = until_decided(product, texts, first.name)
    assert get(product.engine, first.name).status == "champion"
    assert routes["student", "accepted"] and routes["teacher", "no_release"] > sum(routes.values()) / 2

    send(product, texts, LATER)
    command = [sys.executable, "-m", "tutelage", "recertify", TASK, "--config", str(product.config)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=400.0, check=False)
    assert said.returncode == 0 and "on trial:" in said.stdout, said.stdout + said.stderr
    _, second = history(product.engine, TASK)
    assert (second.status, champions(product.engine)[TASK].name) == ("canary", first.name)
    send(product, texts, BATCH)
    print(subprocess.run([*command[:3], "status", *command[5:]], capture_output=True, text=True, check=True).stdout)

    student, folder = product.settings.student.url, product.settings.student.adapters_dir / second.name
    (folder / "adapter_model.safetensors").write_bytes(b"altered")  # or `up` loads it again
    gone = httpx.post(f"{student}/v1/unload_lora_adapter", json={"lora_name": second.name})
    assert gone.status_code == 200, gone.text
    worker = product.pid("worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    routes = until_decided(product, texts, second.name)
    assert routes["teacher", "student_unavailable"] and routes["student", "accepted"]
    assert [each.status for each in history(product.engine, TASK)] == ["champion", "rolled_back"]
    print(get(product.engine, second.name).refusal["reason"])
    print([(each.action, each.reason) for each in latest(product.engine, TASK, limit=4)])
    assert {each.reason for each in send(product, texts, BATCH)}.isdisjoint({"student_unavailable"})
