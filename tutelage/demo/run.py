"""The loop as a stranger sees it: traffic, a student, the switch, what it is worth; then the traffic drifts.

The driver knows what any client knows, and sends requests only: the worker does the rest by itself. Whether the student
was right is asked of the local teacher afterwards, outside the product's view.
"""

import asyncio
import sys
import time
from collections.abc import Collection
from contextlib import nullcontext
from itertools import takewhile
from pathlib import Path
from tempfile import mkdtemp

from rich.console import Console

from ledger import decisions
from ledger.database import connect
from ledger.ingest import lag_bytes
from ledger.releases import Release, get, history
from router.settings import Settings, load
from tutelage.demo.kept import left_up
from tutelage.demo.outcome import DemoOutcome, Drift, Phase, answered_under_void, measure, measure_drift
from tutelage.demo.plan import (
    NAMELESS,
    TASK,
    TEACHER,
    DemoPlan,
    Messages,
    Ports,
    free_ports,
    read_messages,
    write_config,
)
from tutelage.demo.plot import draw
from tutelage.demo.traffic import Client, Sent, trickle
from tutelage.demo.view import LogView, PhaseView, show_plan, show_summary, show_verdict
from tutelage.processes import ProcessDied, Program, Stack, programs, worker
from tutelage.processes import console as console_program
from tutelage.provision import Home

CONCURRENCY = 8
TRICKLE_S = 0.5  # between requests while a student is being made, so that the switch happens under traffic
LOOK_S = 0.5
SWITCH_LIMIT_S = 10.0
SETTLE_S = 30.0
LATENCY_MS = 40


class NotShown(Exception):
    """The demo cannot go on; the message is what it failed to show."""


def run_demo(plan: DemoPlan, home: Home, *, console: Console) -> list[str]:
    """Run the demo and tell its verdict; returns what it failed to show, nothing for a success."""
    work = Path(mkdtemp(prefix="demo-", dir=_made(home.root / "demos")))
    return asyncio.run(_run(plan, home, work=work, console=console))


async def _run(plan: DemoPlan, home: Home, *, work: Path, console: Console) -> list[str]:
    started = time.monotonic()
    data = plan.data or await _write_corpus(plan, work / "desk.csv")
    messages, ports, config = read_messages(data, plan), free_ports(), work / "tutelage.yaml"
    write_config(config, plan, home=home, ports=ports)
    settings = load(config)
    show_plan(console, plan, settings.tasks[TASK])
    parts = [local_teacher(data, plan, ports), *programs(settings, config, home), worker(config)]
    parts += [console_program(settings, config)] if plan.keep else []
    with Stack(work / "logs", parts) as stack, left_up(stack, settings) if plan.keep else nullcontext():
        demo = _Demo(plan, settings, ports, stack=stack, log=work / "logs/worker.log", console=console)
        failures = await demo.show(messages)
        took_s = time.monotonic() - started
        console.print(f"{took_s:.0f} s in all; ledger, logs and configuration: {work}", markup=False)
        show_verdict(console, failures)
        if plan.keep:
            await demo.ask_without_a_task(messages)
    return failures


class _Demo:
    """The phases of one run, and what they share."""

    def __init__(
        self, plan: DemoPlan, settings: Settings, ports: Ports, *, stack: Stack, log: Path, console: Console
    ) -> None:
        self._engine = connect(settings.ledger.url)
        self._plan = plan
        self._settings = settings
        self._stack = stack
        self._log = LogView(console, log)
        self._console = console
        self._client = Client(f"http://127.0.0.1:{ports.gateway}/v1", system_prompt=plan.system_prompt)
        self._teacher = Client(f"http://127.0.0.1:{ports.local_teacher}/v1", system_prompt=plan.system_prompt)
        self._sent: list[Sent] = []

    async def show(self, messages: Messages) -> list[str]:
        """What it failed to show; the rest is drawn and told."""
        try:
            outcome = await self._play(messages)
        except NotShown as missing:
            return [str(missing), *self._dropped()]
        draw(self._engine, TASK, outcome, out=self._plan.out)
        show_summary(self._console, outcome)
        self._console.print(f"plot: {self._plan.out}", markup=False)
        return [*outcome.failures(alpha=self._settings.tasks[TASK].alpha), *self._dropped()]

    async def ask_without_a_task(self, messages: Messages) -> None:
        """So that there is something to be seen where the console shows what nobody has named."""
        for prompt in self._plan.nameless_prompts:
            await self._client.begun_with(prompt).send_all(messages.first[:NAMELESS], concurrency=CONCURRENCY)

    async def _play(self, messages: Messages) -> DemoOutcome:
        """All phases in turn. Raises NotShown where there is no going on."""
        self._wait_ready(but={"student"})  # nobody needs it before it is trained
        await self._send("1 teacher only", messages.first)
        self._wait_ready()
        first = await self._first_release(messages)
        before = await self._serve("3 student and teacher", messages.served, first)
        if not self._plan.drifts:
            return DemoOutcome(before)
        drift = await self._drift("4 the traffic drifts", messages.drifting, first)
        await self._send("5 the teacher only, until the next student is due", messages.relearned)
        window = messages.relearned[self._plan.relearned_rows :]
        second = await self._release("6 the worker makes the next student", window, number=2)
        after = await self._serve("7 student and teacher again", messages.served_again, second)
        under_void = answered_under_void(self._engine, get(self._engine, first.name))
        return DemoOutcome(before, drift, after, under_void)

    def _dropped(self) -> list[str]:
        """In words, where a request got no answer in any phase."""
        lost = [sent for sent in self._sent if sent.answer is None]
        return [f"{len(lost)} requests were dropped, the first with {lost[0].error}"] if lost else []

    def _wait_ready(self, *, but: Collection[str] = ()) -> None:
        """In this thread, where Ctrl-C ends it: nothing else goes on meanwhile."""
        with self._console.status("starting") as line:
            self._stack.wait_ready(
                tick=lambda name, waited: line.update(f"waiting for {name} ({waited:.0f} s)"), but=but
            )

    async def _send(self, phase: str, texts: list[str]) -> list[Sent]:
        with PhaseView(self._console, phase, total=len(texts)) as view:
            sent = await self._client.send_all(texts, concurrency=CONCURRENCY, seen=view.add)
        self._sent += sent
        self._stack.check()
        return sent

    async def _first_release(self, messages: Messages) -> Release:
        """Without one the traffic is shown to stay with the teacher."""
        try:
            window = messages.first[self._plan.older_rows :]
            return await self._release("2 the worker makes a student", window, number=1)
        except NotShown as why:
            sent = await self._send("3 nothing is certified: the teacher goes on", messages.served)
            teacher = sum(each.route == "teacher" for each in sent)
            raise NotShown(f"{why}; of {len(sent)} requests after that the teacher answered {teacher}") from why

    async def _release(self, phase: str, texts: list[str], *, number: int) -> Release:
        """The worker's release of that number, with traffic going on until a client is told of it."""
        self._console.print(f"[bold]{phase}[/bold], while traffic goes on")
        async with trickle(self._client, texts, pause_s=TRICKLE_S) as sent:
            try:
                while not (release := self._promoted(number)):
                    self._log.show()
                    self._stack.check()
                    await asyncio.sleep(LOOK_S)
                await self._see_switch(release, sent)
            finally:
                self._sent += sent
                self._log.show()
        return release

    def _promoted(self, number: int) -> Release | None:
        """None while it is being made. Raises NotShown where it will not be."""
        release = next((each for each in history(self._engine, TASK) if each.number == number), None)
        if release is None:
            if (last := decisions.latest(self._engine, TASK, limit=1)) and last[0].trigger == "forbidden":
                raise NotShown(f"no student is made: {last[0].reason}")
            return None
        if release.status == "refused":
            raise NotShown(_why_refused(release))
        return None if release.status == "candidate" else release

    async def _see_switch(self, release: Release, sent: list[Sent]) -> None:
        """Until a client is told of the new release; says how long after the promotion that was."""
        deadline = time.monotonic() + SWITCH_LIMIT_S
        while not (seen := [s.at for s in sent if s.release == release.name]):
            if time.monotonic() > deadline:
                raise NotShown(f"no client saw {release.name} within {SWITCH_LIMIT_S:.0f} s of its promotion")
            await asyncio.sleep(0.05)
        dropped = sum(s.answer is None for s in sent)
        self._console.print(
            f"  switched: first request under {release.name} {seen[0] - release.changed_at:.2f} s after its promotion, "
            f"{dropped} of {len(sent)} requests dropped meanwhile",
            highlight=False,
        )

    async def _serve(self, phase: str, texts: list[str], release: Release) -> Phase:
        """A phase whose every student answer is checked."""
        since = time.time()
        sent = await self._send(phase, texts)
        await self._settled()
        return measure(self._engine, release, since=since, served=sent, truth=await self._truth(sent))

    async def _drift(self, phase: str, texts: list[str], release: Release) -> Drift:
        """Drifted traffic until a client sees that the alarm has closed the task."""
        sent: list[Sent] = []
        with PhaseView(self._console, phase, total=len(texts), at_most=True) as view:

            def seen(each: Sent) -> None:
                sent.append(each)
                view.add(each)

            still_open = takewhile(lambda _: not any(map(_closed, sent[-CONCURRENCY:])), texts)
            await self._client.send_all(still_open, concurrency=CONCURRENCY, seen=seen)
        self._sent += sent
        self._log.show()
        voided = get(self._engine, release.name)
        drift = measure_drift(voided, served=sent, truth=await self._truth(sent))
        if voided.status != "voided":
            raise NotShown(f"the alarm has not sounded: {drift.words}")
        self._console.print(f"  closed by the alarm: {drift.words}", markup=False, highlight=False)
        return drift

    async def _truth(self, sent: list[Sent]) -> list[Sent]:
        """What the local teacher says to what the student answered, in the same order."""
        return await self._teacher.send_all([s.text for s in sent if s.route == "student"], concurrency=16)

    async def _settled(self) -> None:
        """Until the ingester has moved everything, labels in the background included."""
        deadline = time.monotonic() + SETTLE_S
        await asyncio.sleep(1.0)
        while lag_bytes(self._engine, self._settings.ledger.spool_dir):
            if time.monotonic() > deadline:
                raise ProcessDied(f"the ingester has not caught up within {SETTLE_S:.0f} s")
            await asyncio.sleep(0.2)


async def _write_corpus(plan: DemoPlan, path: Path) -> Path:
    """In a process of its own: labels never enter this one."""
    sizes = [word for split, rows in plan.corpus.items() for word in (f"--{split}", str(rows))]
    command = [sys.executable, "-m", "tutelage.demo.corpus", str(path), *sizes, "--seed", str(plan.seed)]
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait() != 0:
        raise ProcessDied("the demo's messages could not be written")
    return path


def local_teacher(data: Path, plan: DemoPlan, ports: Ports) -> Program:
    """The process that stands in for a hosted teacher."""
    port = str(ports.local_teacher)
    command = [sys.executable, "-m", "tutelage.demo.local_teacher", "--data", str(data), "--model", TEACHER]
    command += ["--text", plan.text, "--label", plan.label, "--port", port, "--seed", str(plan.seed)]
    command += ["--latency-ms", str(LATENCY_MS), "--mistakes", str(plan.mistakes)]
    return Program("local-teacher", command, f"http://127.0.0.1:{port}/health")


def _closed(sent: Sent) -> bool:
    """Whether a reply says that no release is in force."""
    return sent.answer is not None and not sent.release


def _why_refused(release: Release) -> str:
    refusal = release.refusal or {}
    needed = f"; about {refusal['rows_needed']} references would do" if refusal.get("rows_needed") else ""
    return f"{release.name} was not certified: {refusal.get('reason', 'see the lines above')}{needed}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
