"""One turn of the loop as a stranger sees it: traffic, a student, the switch, and what it was worth.

The driver knows what any client knows. Whether the student was right it asks the local teacher afterwards, outside
the product's view.
"""

import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import sqlalchemy as sa
from rich.console import Console

from ledger.database import connect
from ledger.ingest import lag_bytes
from ledger.releases import champions, history
from router.settings import Settings, load
from tutelage.demo.outcome import DemoOutcome, measure
from tutelage.demo.plan import TASK, TEACHER, DemoPlan, Ports, divide, free_ports, read_texts, write_config
from tutelage.demo.plot import draw
from tutelage.demo.traffic import Client, Sent
from tutelage.demo.view import PhaseView, show_plan, show_summary
from tutelage.processes import ProcessDied, Program, Stack, programs
from tutelage.provision import Home

CONCURRENCY = 8
TRICKLE_S = 0.5  # between requests while the student is being made, so that the switch happens under traffic
SWITCH_LIMIT_S = 10.0
SETTLE_S = 30.0
MISTAKES = 0.02
LATENCY_MS = 40


def run_demo(plan: DemoPlan, home: Home, *, console: Console) -> list[str]:
    """Run the demo; returns what it failed to show, nothing for a success."""
    work = Path(mkdtemp(prefix="demo-", dir=_made(home.root / "demos")))
    started = time.monotonic()
    failures = asyncio.run(_Demo(plan, home, work=work, console=console).run())
    console.print(f"{time.monotonic() - started:.0f} s in all; ledger, logs and configuration: {work}", markup=False)
    return failures


class _Demo:
    """The phases of one run, and what they share."""

    def __init__(self, plan: DemoPlan, home: Home, *, work: Path, console: Console) -> None:
        self._plan = plan
        self._home = home
        self._work = work
        self._console = console
        self._ports = free_ports()
        self._config = work / "tutelage.yaml"

    async def run(self) -> list[str]:
        """All phases in turn."""
        data = self._plan.data or await self._write_corpus()
        first, last = divide(read_texts(data, self._plan.text), self._plan)
        write_config(self._config, self._plan, home=self._home, ports=self._ports)
        settings = load(self._config)
        show_plan(self._console, self._plan, settings.tasks[TASK])
        parts = [local_teacher(data, self._plan, self._ports), *programs(settings, self._config, self._home)]
        with Stack(self._work / "logs", parts) as stack:
            self._await_teacher(stack)
            engine = connect(settings.ledger.url)
            client = self._client(f"http://127.0.0.1:{self._ports.gateway}/v1")
            alone = await self._send("1 teacher only", client, first)
            await self._wait_for(stack, "student")
            await _settled(engine, settings)
            during, certified = await self._distill(engine, client, first)
            if not certified:
                return [_why_not_certified(engine), *_dropped(alone + during)]
            since = time.time()
            served = await self._send("3 student and teacher", client, last)
            await _settled(engine, settings)
            truth = await self._ask_teacher([s.text for s in served if s.route == "student"])
            stack.check()
            outcome = measure(engine, TASK, since=since, before=alone + during, served=served, truth=truth)
            self._show(engine, outcome)
            return outcome.failures(alpha=settings.tasks[TASK].alpha)

    async def _write_corpus(self) -> Path:
        """In a process of its own: labels never enter this one. What teaches shares no template with what follows."""
        path, plan = self._work / "desk.csv", self._plan
        later = plan.rows - plan.taught_rows + plan.serve
        sizes = ["--train", str(plan.taught_rows), "--serve", str(later), "--seed", str(plan.seed)]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tutelage.demo.corpus", str(path), *sizes)
        if await process.wait() != 0:
            raise ProcessDied("the demo's messages could not be written")
        return path

    def _await_teacher(self, stack: Stack) -> None:
        """The student takes longest to start, and nobody needs it before it is trained."""
        with self._console.status("starting teacher and gateway") as status:
            for name in ("local-teacher", "teacher", "gateway"):
                stack.wait_ready(
                    only=name, tick=lambda name, waited: status.update(f"waiting for {name} ({waited:.0f} s)")
                )

    async def _wait_for(self, stack: Stack, name: str) -> None:
        with self._console.status(f"waiting for the {name}") as status:
            await asyncio.to_thread(
                stack.wait_ready,
                only=name,
                tick=lambda _, waited: status.update(f"waiting for the {name} ({waited:.0f} s)"),
            )

    def _client(self, url: str) -> Client:
        return Client(url, system_prompt=self._plan.system_prompt)

    async def _send(self, phase: str, client: Client, texts: list[str]) -> list[Sent]:
        with PhaseView(self._console, phase, total=len(texts)) as view:
            return await client.send_all(texts, concurrency=CONCURRENCY, seen=view.add)

    async def _distill(self, engine: sa.Engine, client: Client, texts: list[str]) -> tuple[list[Sent], bool]:
        """`tutelage distill run` as a user runs it, with traffic going on until the switch is seen by a client."""
        self._console.print("[bold]2 distill run[/bold], while traffic goes on")
        async with _trickle(client, texts[self._plan.older_rows :]) as sent:
            command = [sys.executable, "-m", "tutelage", "distill", "run", TASK, "--config", str(self._config)]
            process = await asyncio.create_subprocess_exec(
                *command,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "COLUMNS": str(self._console.width - 2)},
            )
            assert process.stdout is not None
            async for line in process.stdout:
                self._console.print("  " + line.decode(errors="replace").rstrip(), markup=False, highlight=False)
            certified = await process.wait() == 0
            if certified:
                await self._see_switch(engine, sent)
        return sent, certified

    async def _see_switch(self, engine: sa.Engine, sent: list[Sent]) -> None:
        """Until a client is told of the new release; says how long after the promotion that was."""
        release = champions(engine)[TASK]
        deadline = time.monotonic() + SWITCH_LIMIT_S
        while not (seen := [s.at for s in sent if s.release == release.name]):
            if time.monotonic() > deadline:
                raise ProcessDied(f"no client saw {release.name} within {SWITCH_LIMIT_S:.0f} s of its promotion")
            await asyncio.sleep(0.05)
        dropped = sum(s.answer is None for s in sent)
        self._console.print(
            f"  switched: first request under {release.name} {seen[0] - release.changed_at:.2f} s after its promotion, "
            f"{dropped} of {len(sent)} requests dropped meanwhile",
            highlight=False,
        )

    async def _ask_teacher(self, texts: list[str]) -> list[Sent]:
        return await self._client(f"http://127.0.0.1:{self._ports.local_teacher}/v1").send_all(texts, concurrency=16)

    def _show(self, engine: sa.Engine, outcome: DemoOutcome) -> None:
        draw(engine, TASK, outcome, out=self._plan.out)
        show_summary(self._console, outcome)
        self._console.print(f"plot: {self._plan.out}", markup=False)


@asynccontextmanager
async def _trickle(client: Client, texts: list[str]) -> AsyncIterator[list[Sent]]:
    """A few requests a second until the block ends; the list grows as they return."""
    sent: list[Sent] = []

    async def forever() -> None:
        for text in itertools.cycle(texts):
            sent.append(await client.send(text))
            await asyncio.sleep(TRICKLE_S)

    task = asyncio.create_task(forever())
    try:
        yield sent
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _settled(engine: sa.Engine, settings: Settings) -> None:
    """Until the ingester has moved everything, labels in the background included."""
    deadline = time.monotonic() + SETTLE_S
    await asyncio.sleep(1.0)
    while lag_bytes(engine, settings.ledger.spool_dir):
        if time.monotonic() > deadline:
            raise ProcessDied(f"the ingester has not caught up within {SETTLE_S:.0f} s")
        await asyncio.sleep(0.2)


def local_teacher(data: Path, plan: DemoPlan, ports: Ports) -> Program:
    """The process that stands in for a hosted teacher."""
    port = str(ports.local_teacher)
    command = [sys.executable, "-m", "tutelage.demo.local_teacher", "--data", str(data), "--model", TEACHER]
    command += ["--text", plan.text, "--label", plan.label, "--port", port, "--seed", str(plan.seed)]
    command += ["--latency-ms", str(LATENCY_MS), "--mistakes", str(MISTAKES)]
    return Program("local-teacher", command, f"http://127.0.0.1:{port}/health")


def _why_not_certified(engine: sa.Engine) -> str:
    refused = history(engine, TASK)
    refusal = (refused[-1].refusal or {}) if refused else {}
    needed = f"; about {refusal['rows_needed']} independent references would do" if refusal.get("rows_needed") else ""
    return f"the student was not certified: {refusal.get('reason', 'see the lines above')}{needed}"


def _dropped(sent: list[Sent]) -> list[str]:
    lost = [s for s in sent if s.answer is None]
    return [f"{len(lost)} requests were dropped, the first with {lost[0].error}"] if lost else []


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
