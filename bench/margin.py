"""What a margin costs in coverage, and how often 500 answers then keep to the contract: on real drafts of demos.

    python -m bench.margin .tutelage/demos/*

Every release that a demo certified has scored drafts beside the teacher's answers: its certification window, and the
traffic of its own phase (what an earlier student was sent after the drift is left out). They are divided anew many
times: into rows that freeze the grid, a window, and a phase of 500 requests.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from calibration.agreement import disagreement
from calibration.certificate import Certificate, Contract
from calibration.certify import Plan, ScoredRow, certify, frozen_grid
from ledger.database import connect
from ledger.releases import history
from ledger.schema import exchanges, row_uses
from router.settings import load
from tutelage.demo.corpus import Split
from tutelage.demo.local_teacher import answer, read_table
from tutelage.demo.plan import TASK, DemoPlan

FIT, WINDOW, PHASE = 200, 330, 500
MARGINS = (0.0, 0.25, 0.4, 0.5)
PHASES: dict[int, Split] = {1: "serve", 2: "drift-serve"}  # the traffic of each release


@dataclass(frozen=True)
class Played:
    """One division: whether a certificate was issued, the share that is answered, and the agreement of the answers."""

    issued: bool
    share: float = 0.0
    agreement: float = 1.0


def drafts(folder: Path) -> Iterator[tuple[str, list[ScoredRow]]]:
    """A demo's certified releases, and the drafts of each."""
    settings = load(folder / "tutelage.yaml")
    engine, data = connect(settings.ledger.url), folder / "desk.csv"
    table = read_table(data, text="text", label="label")
    with data.open(newline="") as file:
        parts = {row["text"].strip(): row["part"] for row in csv.DictReader(file)}
    window = sa.select(row_uses.c.score, row_uses.c.disagreement).where(row_uses.c.use == "certify")
    served = sa.select(exchanges.c.messages, exchanges.c.draft_text, exchanges.c.score).where(
        exchanges.c.origin == "client", exchanges.c.score.is_not(None)
    )
    for release in history(engine, TASK):
        if not release.certificate:
            continue
        with engine.connect() as connection:
            rows = [ScoredRow(*row) for row in connection.execute(window.where(row_uses.c.release == release.name))]
            for messages, text, score in connection.execute(served.where(exchanges.c.release == release.name)):
                asked = messages[-1]["content"].strip()
                if parts.get(asked) == PHASES.get(release.number):
                    truth = answer(table, asked, mistakes=DemoPlan.mistakes, seed=settings.distill.seed)
                    rows.append(ScoredRow(score, float(disagreement(text, truth))))
        yield f"seed {settings.distill.seed}, {release.name}", rows


def play(rows: Sequence[ScoredRow], *, margin: float, rng: np.random.Generator) -> Played:
    """One division of the rows. Window and phase are drawn with replacement from what does not fit."""
    order = rng.permutation(len(rows))
    fit = [rows[i] for i in order[:FIT]]
    window, phase = ([rows[i] for i in rng.choice(order[FIT:], size)] for size in (WINDOW, PHASE))
    contract = Contract(0.10, 0.05, margin)
    plan = Plan(contract, frozen_grid(fit, contract=contract, n=WINDOW), (0.0, 1.0), "f", 0.0)
    found = certify(window, plan=plan)
    if not isinstance(found, Certificate):
        return Played(issued=False)
    answered = [row for row in phase if row.score >= found.threshold]
    wrong = sum(row.disagreement for row in answered)
    return Played(True, len(answered) / len(phase), 1.0 - wrong / max(1, len(answered)))


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.margin")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=100, help="divisions of each release")
    options = parser.parse_args()
    console = Console()
    known = [found for folder in options.folders if (folder / "ledger.db").exists() for found in drafts(folder)]
    title = f"{len(known)} releases, {options.runs} divisions of each, alpha 10 %"
    table = Table("margin", "certified", "share", "agreement", "phases below 90 %", title=title)
    for margin in MARGINS:
        rng = np.random.default_rng(0)
        runs = [
            play(rows, margin=margin, rng=rng)
            for _, rows in track(known, description=f"margin {margin}", console=console)
            for _ in range(options.runs)
        ]
        issued = [run for run in runs if run.issued]
        means = [f"{np.mean([getattr(run, name) for run in issued]):.1%}" for name in ("share", "agreement")]
        below = f"{np.mean([run.agreement < 0.9 for run in issued]):.1%}"
        table.add_row(str(margin), f"{len(issued) / len(runs):.1%}", *means, below)
    console.print(table)


if __name__ == "__main__":
    main()
