"""A run on paper: Markdown on the console, a picture, and every number as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import matplotlib
import orjson

matplotlib.use("Agg")  # no display needed

from matplotlib import pyplot as plt

from bench.peers.accounting_tables import tables
from bench.peers.beyond import CLIENTS as CLIENTS_BESIDE
from bench.peers.beyond import PERIOD_S, Memory
from bench.peers.measure import CLIENTS, PLAIN, WORKLOADS, Workload
from bench.peers.native import STEP_US
from bench.peers.processes import DIRECT
from bench.peers.ranges import Range
from bench.peers.results import At, Results, goals

BUSY = 0.9  # of a core: from here on the clients or the model server may be the limit


def markdown(found: Results) -> str:
    """Goals, then every workload, then what is beyond them, and what accounting takes."""
    peers = [_goals(found), *_workloads(found), _beyond(found)] if found.starts_s else []
    parts = [*peers, *tables(found.accounting), _lacking(found)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _goals(found: Results) -> list[str]:
    lines = ["| goal | must | aim | found: median (least-most) | must is | aim is |", "|---|---|---|---|---|---|"]
    for goal in goals(found):
        figure = f"{goal.found.text(2)} {goal.unit}" if goal.found else "-"
        bounds = f"{goal.bound(goal.must)} | {goal.bound(goal.aim)}"
        lines.append(f"| {goal.measure} | {bounds} | {figure} | {goal.met(goal.must)} | {goal.met(goal.aim)} |")
    return lines


def _workloads(found: Results) -> Iterator[list[str]]:
    for workload in WORKLOADS:
        heads = ["clients", "set-up", *_columns(workload), "clients' core, %", "model server's core, %"]
        lines = [f"**{workload.name}**", "", f"| {' | '.join(heads)} |", "|--:|---|" + "--:|" * (len(heads) - 2)]
        rows = [_row(found, name, at=At(workload, clients)) for clients in CLIENTS for name in _names(found)]
        yield [*lines, *filter(None, rows)]


def _columns(workload: Workload) -> dict[str, tuple[str, bool]]:
    """Heading -> the field of `Measured`, and whether what is added to asking directly is shown."""
    if workload.stream:
        return {
            "added first byte p50, us": ("first50_us", True),
            "added first byte p99, us": ("first99_us", True),
            "streams/s": ("rps", False),
            "CPU/token, us": ("token_us", False),
            "memory, MiB": ("memory_mib", False),
        }
    return {
        "p50, us": ("p50_us", False),
        "added p50, us": ("p50_us", True),
        "added p99, us": ("p99_us", True),
        "requests/s": ("rps", False),
        "CPU/request, us": ("cpu_us", False),
        "memory, MiB": ("memory_mib", False),
    }


def _row(found: Results, target: str, *, at: At) -> str | None:
    cells = found.of(target, at).values()
    if not cells:
        return None
    figures = [
        None if added and target == DIRECT else (found.added if added else found.range)(figure, target, at=at)
        for figure, added in _columns(at.workload).values()
    ]
    shares = [max(getattr(cell, share) for cell in cells) for share in ("clients_share", "upstream_share")]
    limits = [f"{share:.0%}{' (!)' if share > BUSY else ''}" for share in shares]
    bad = sum(cell.bad for cell in cells)
    name = f"{target} ({bad} bad replies)" if bad else target
    shown = [each.text(1) if each else "-" for each in figures]
    return f"| {' | '.join([str(at.clients), name, *shown, *limits])} |"


def _names(found: Results) -> list[str]:
    return list(dict.fromkeys(sorted((cell.target for cell in found.cells), key=_rank)))


def _rank(name: str) -> tuple[bool, str]:
    return name != DIRECT, name


def _beyond(found: Results) -> list[str]:
    lines = [f"Start-up, s: {', '.join(f'{name} {took:.2f}' for name, took in found.starts_s.items())}."]
    if found.escalations:
        parts = ("alone_us", "beside_us", "teacher_us")
        alone, beside, theirs = (Range.of([getattr(each, part) for each in found.escalations]) for part in parts)
        lines.append(
            f"Student's p50 at {CLIENTS_BESIDE / PERIOD_S:.0f} requests a second: {alone.text()} us alone, "
            f"{beside.text()} us while a fifth escalates through LiteLLM, whose own p50 is {theirs.text()} us."
        )
    lines += [_memory(found.memory)] if found.memory else []
    return [
        "\n\n".join([*lines, f"A stream's tokens come {STEP_US / 1000:g} ms apart, those of all streams together."])
    ]


def _lacking(found: Results) -> list[str]:
    absent = [f"Absent: {each.name}: {each.reason}" for each in found.absent]
    lines = [*absent, *(f"Not measured: {words}" for words in found.failures)]
    return ["\n\n".join(lines)] if lines else []


def _memory(found: Memory) -> str:
    each = (found.open - found.late) / found.connections * 1024
    return (
        f"Memory of the gateway, MiB: {found.early:.1f} after {found.requests // 10:,} requests, {found.late:.1f} "
        f"after {found.requests:,}; {found.open:.1f} with {found.connections:,} idle connections ({each:.1f} KiB "
        f"each), {found.held:.1f} later, {found.closed:.1f} when they are closed."
    )


def draw(found: Results, out: Path) -> None:
    """Requests a second and CPU a request over clients, logarithmic: the set-ups are orders of magnitude apart."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    titles = {"rps": "requests a second", "cpu_us": "CPU a request, us (direct: the model server's)"}
    for axis, (field, title) in zip(axes, titles.items(), strict=True):
        for name in _names(found):
            ranges = [(clients, found.range(field, name, at=At(PLAIN, clients))) for clients in CLIENTS]
            known = [(clients, each) for clients, each in ranges if each]
            error = [[each.median - each.least for _, each in known], [each.most - each.median for _, each in known]]
            if known:
                middle = [each.median for _, each in known]
                axis.errorbar([n for n, _ in known], middle, yerr=error, marker="o", capsize=3, label=name)
        axis.set(xscale="log", yscale="log", xlabel="clients", title=title)
        axis.set_xticks(CLIENTS, [str(clients) for clients in CLIENTS])
        axis.grid(alpha=0.3, which="both")
    axes[0].legend()
    figure.savefig(out, dpi=120)


def write_json(found: Results, out: Path) -> None:
    """Every cell of every round."""
    out.write_bytes(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2))
