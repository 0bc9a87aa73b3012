"""What accounting takes, as Markdown."""

import statistics
from collections.abc import Iterator, Sequence

from bench.peers.accounting import (
    ASKING,
    CALLS,
    CLIENTS,
    PAUSES_S,
    PERIOD_S,
    ROUNDS,
    SCRAPES,
    TURNS,
    Accounting,
    Scraped,
    Spent,
)
from bench.peers.counted import ALL, COUNTING, NOTHING, WRITING
from bench.peers.many import RELEASES, TASKS
from bench.peers.pieces import Pieces
from bench.peers.ranges import Range

WAYS = {False: "one process", True: "one of several (files)"}
TAKEN = {COUNTING: "counting it", WRITING: "its record, written", ALL: "both, and putting the record together"}
SEEN = {
    "requests' p50, us": ("p50_us", 1),
    "p99, us": ("p99_us", 1),
    "slowest, us": ("most_us", 1),
    "the gateway's core, %": ("cpu_share", 100),
}
PIECES = {"count": "counted", "write": "record written", "record": "all of it", "dollars": "its dollars, before"}


def tables(found: Accounting) -> Iterator[list[str]]:
    """Of what was measured."""
    if found.spent:
        yield _sockets(found.spent)
    if found.pieces:
        yield _pieces(found.pieces)
        yield _pages(found.pieces)
    if found.scraped:
        yield _scrapes(found.scraped)


def taken(spent: Sequence[Spent], figure: str, *, part: str, files: bool) -> Range | None:
    """What a part adds to a figure of `Spent`, over the rounds: of each round the mean over its turns."""
    at = {(each.round, each.turn, each.without): getattr(each, figure) for each in spent if each.files == files}
    rounds: dict[int, list[float]] = {}
    for (number, turn, without), value in at.items():
        whole = at.get((number, turn, NOTHING))
        if without == part and whole is not None:
            rounds.setdefault(number, []).append(whole - value)
    return Range.of([statistics.fmean(turns) for turns in rounds.values()]) if rounds else None


def _sockets(spent: Sequence[Spent]) -> list[str]:
    ways = sorted({each.files for each in spent})
    lines = [f"**What accounting adds to a request** (us of CPU, {ASKING} clients, {TURNS} turns a round)", ""]
    lines += [f"| | {' | '.join(WAYS[files] for files in ways)} |", "|---|" + "--:|" * len(ways)]
    lines.append(f"| a request, everything accounted for | {' | '.join(_whole(spent, files) for files in ways)} |")
    for part, words in TAKEN.items():
        added = [taken(spent, "cpu_us", part=part, files=files) for files in ways]
        lines.append(f"| {words} | {' | '.join(each.text(1) if each else '-' for each in added)} |")
    return lines


def _whole(spent: Sequence[Spent], files: bool) -> str:
    return Range.of([each.cpu_us for each in spent if (each.files, each.without) == (files, NOTHING)]).text()


def _pieces(pieces: Sequence[Pieces]) -> list[str]:
    heads = [f"{WAYS[each.files]}: {words}" for each in pieces for words in PIECES.values()]
    lines = [f"**Called directly** (us of CPU; {ROUNDS} rounds of {CALLS:,} calls, less as many empty ones)", ""]
    lines += [f"| a request | {' | '.join(heads)} |", "|---|" + "--:|" * len(heads)]
    for how in pieces[0].requests:
        figures = [Range.of(each.requests[how][name]) for each in pieces for name in PIECES]
        lines.append(f"| {how} | {' | '.join(each.text(1) for each in figures)} |")
    return lines


def _pages(pieces: Sequence[Pieces]) -> list[str]:
    lines = [f"**A scrape of {TASKS} tasks with {RELEASES} releases each**, called directly ({SCRAPES} times)", ""]
    lines += ["| | KB | lines | CPU of the ledger's part, ms | CPU of the text, ms |", "|---|--:|--:|--:|--:|"]
    for each in pieces:
        spent = f"{Range.of(each.ledger_ms).text(1)} | {Range.of(each.text_ms).text(1)}"
        lines.append(f"| {WAYS[each.files]} | {each.bytes / 1000:,.0f} | {each.lines:,} | {spent} |")
    return lines


def _scrapes(scraped: Sequence[Scraped]) -> list[str]:
    lines = [f"**The same over a socket, beside {CLIENTS / PERIOD_S:.0f} requests a second**", ""]
    heads = ["a scrape, ms", *SEEN]
    lines += [f"| | scraped | {' | '.join(heads)} |", "|---|---|" + "--:|" * len(heads)]
    for files in WAYS:
        for pause_s in PAUSES_S:
            of = [each for each in scraped if (each.files, each.pause_s) == (files, pause_s)]
            if of:
                lines.append(f"| {WAYS[files]} | {_often(pause_s)} | {' | '.join(_seen(of))} |")
    return lines


def _seen(of: Sequence[Scraped]) -> Iterator[str]:
    took = [ms for each in of for ms in each.scrapes_ms]
    yield Range.of(took).text() if took else "-"
    for figure, scale in SEEN.values():
        yield Range.of([getattr(each, figure) * scale for each in of]).text(0 if scale == 1 else 1)


def _often(pause_s: float | None) -> str:
    return "never" if pause_s is None else f"every {pause_s:g} s" if pause_s else "without a pause"
