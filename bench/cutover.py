"""Long answers judged by their first tokens, then a new prompt certified beside what serves, and the cut-over to it.

Real vLLM, real LoRA, real LiteLLM, the official client; four answers of a sentence each, each named in its message. It
takes eleven minutes on two cores, a third of what all other tests take, and so is none of them:

    pytest -m e2e bench/cutover.py
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest
import yaml

from bench.easy import LABELS, LONG_ANSWERS, write_easy_task
from bench.parts import wait_until
from bench.product import Product
from ledger.releases import Release, champions, get, history
from tutelage.demo.plan import TASK, TEACHER, free_ports
from tutelage.demo.traffic import Client
from tutelage.provision import Home, ensure_demo_model, ensure_vllm

pytestmark = pytest.mark.e2e
FIRST, LATER, SPARE = 620, 320, 20
PREFIX = 4
NEXT_PROMPT = "Answer the customer's message in one sentence."


@dataclass(frozen=True)
class Desk:
    """The product on its task, and its messages: those that teach first, those that come later, and spare ones."""

    product: Product
    texts: list[str]

    @property
    def spare(self) -> list[str]:
        return self.texts[-SPARE:]

    def send(self, texts: list[str]) -> None:
        client = Client(self.product.url, system_prompt=self.product.plan.system_prompt)
        sent = asyncio.run(client.send_all(texts, concurrency=8))
        assert not [each.error for each in sent if each.error]

    def release(self, number: int) -> Release:
        return get(self.product.engine, f"{TASK}--v{number:06d}")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """With its first student in force when it begins, and stopped where a test has stopped it."""
    work, home = tmp_path_factory.mktemp("cutover"), Home.from_environment()
    ensure_vllm(home, say=print)
    ensure_demo_model(home, say=print)
    texts = write_easy_task(work / "easy.csv", rows=FIRST + LATER + SPARE, answers=LONG_ANSWERS)
    # A wide contract: how good a student taught with one prompt is with another is not the question.
    task = {"alpha": 0.3, "rho": 0.9, "max_tokens": 16, "prefix": PREFIX}
    rows = {"window_share": 0.55, "min_rows": 240, "max_rows": 1000, "min_references": 60, "max_references": 220}
    distill = {**rows, "epochs": 2, "max_escalation_rate": 0.999}
    yield Desk(Product(work, home, work / "easy.csv", task=task, distill=distill), texts)


def ask(desk: Desk, text: str, *, prompt: str, **fields):
    client = openai.OpenAI(base_url=desk.product.url, api_key="none", max_retries=0)
    messages = [{"role": "system", "content": prompt}, {"role": "user", "content": text}]
    raw = client.chat.completions.with_raw_response.create(model=TEACHER, messages=messages, temperature=0, **fields)
    return raw.headers, raw.parse()


def meant(text: str) -> str:
    return next(LONG_ANSWERS[label] for label in LABELS if label in text.split())


def streamed(desk: Desk, *, prompt: str) -> dict[str, list[str]]:
    """The pieces of every spare message that the student answers."""
    found = {}
    for text in desk.spare:
        headers, stream = ask(desk, text, prompt=prompt, stream=True)
        pieces = [
            chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content
        ]
        if headers["x-tutelage-route"] == "student":
            found[text] = pieces
    return found


def test_long_answers_and_a_new_prompt(desk):
    product, prompt = desk.product, desk.product.plan.system_prompt
    with product.up():
        desk.send(desk.texts[:FIRST])
        wait_until(lambda: TASK in champions(product.engine), limit_s=600.0)
        first = desk.release(1)
        assert first.report["bound_to"]["evidence"] == f"prefix {PREFIX}"

        # The stream begins before the answer is whole, and what was certified is the whole answer.
        wait_until(lambda: len(streamed(desk, prompt=prompt)) > SPARE / 3, limit_s=60.0)
        answers = streamed(desk, prompt=prompt)
        assert all(len(pieces) > 2 for pieces in answers.values())
        right = sum("".join(pieces) == meant(text) for text, pieces in answers.items())
        assert right >= 0.9 * len(answers)

        # Beside it the same adapter is certified for another prompt, on requests that are asked anew.
        desk.send(desk.texts[FIRST : FIRST + LATER])
        to_come = next_config(desk)
        said = subprocess.run(
            [sys.executable, "-m", "tutelage", "recertify", TASK, "--config", str(to_come)],
            capture_output=True,
            text=True,
            timeout=600.0,
            check=False,
        )
        assert said.returncode == 0, said.stdout + said.stderr
        assert "ready for its settings" in said.stdout
        assert desk.release(2).status == "ready" and desk.release(2).adapter_digest == first.adapter_digest
        assert champions(product.engine)[TASK].name == first.name
        assert ask(desk, next(iter(answers)), prompt=prompt)[0]["x-tutelage-release"] == first.name

    # The cut-over: the product is started with the settings to come.
    product.config.write_text(with_prompt(product.config))
    with product.up():
        wait_until(lambda: champions(product.engine)[TASK].name == desk.release(2).name, limit_s=120.0)
        wait_until(lambda: len(streamed(desk, prompt=NEXT_PROMPT)) > SPARE / 3, limit_s=120.0)
        headers, _ = ask(desk, desk.spare[0], prompt=prompt)
        assert (headers["x-tutelage-route"], headers["x-tutelage-reason"]) == ("teacher", "no_task")
        assert desk.release(1).status == "voided" and len(history(product.engine, TASK)) == 2


def with_prompt(config: Path) -> str:
    values = yaml.safe_load(config.read_text())
    values["tasks"][TASK]["system_prompt"] = NEXT_PROMPT
    return yaml.safe_dump(values)


def next_config(desk: Desk) -> Path:
    """The settings to come, on ports of their own and the same ledger."""
    path, ports = desk.product.config.with_name("next.yaml"), free_ports()
    values = yaml.safe_load(with_prompt(desk.product.config))
    values["server"]["port"], values["student"]["port"] = ports.gateway, ports.student
    values["teacher_server"]["port"] = ports.teacher_server
    path.write_text(yaml.safe_dump(values))
    return path
