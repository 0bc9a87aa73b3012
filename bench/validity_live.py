"""What is promised of a release in force, by repetition: its interval, its alarm, and how soon that sounds.

    python -m bench.validity_live [--runs 400]

Intervals: runs in which the interval misses, at any of its answers, the share of answers given so far that agree; the
calibrator right or twice too sure, the risk steady or five times as high from half-way on. Alarms: runs that sound
within m references at a risk of exactly alpha, of which at most m / B may. Delays: median references from a rise until
the alarm. Ends with status 1, naming what does not hold in these runs.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from rich.progress import track

from bench.limits import Findings, allowed
from calibration.live import LiveAgreement
from calibration.monitor import Alarm

THRESHOLD, RATE, ANSWERS = 0.7, 0.1, 3000
ALPHA, BOUND, BEFORE = 0.05, 5000.0, 0.03
MISSES, NEAR = 0.05, 1.5  # of the runs; how far from what was measured elsewhere a delay may be, as a factor
DELAYS = {0.08: 295, 0.10: 190, 0.15: 75, 0.25: 28}  # risk -> references, as measured elsewhere with the same bets


@dataclass(frozen=True)
class Path:
    """Of one kind of traffic: runs with a miss, and the half-width at the end, in the mean."""

    misses: int
    half_width: float


def intervals(*, runs: int, too_sure: float, rise: float, seed: int = 0) -> Path:
    """The risk of an answer is its doubt 1 - s, times `too_sure`, times `rise` in the second half."""
    rng, misses, widths = np.random.default_rng(seed), 0, list[float]()
    for _ in range(runs):
        score = rng.uniform(THRESHOLD, 1.0, ANSWERS).round(6)
        factor = too_sure * np.where(np.arange(ANSWERS) < ANSWERS // 2, 1.0, rise)
        wrong = rng.random(ANSWERS) < 0.3 * (1 - score) * factor
        missed, width = _walk(score, wrong.astype(float), rng.random(ANSWERS) < RATE)
        misses += missed
        widths.append(width)
    return Path(misses, float(np.mean(widths)))


def _walk(score: np.ndarray, wrong: np.ndarray, drawn: np.ndarray) -> tuple[bool, float]:
    """Whether the interval misses anywhere, and its half-width at the end."""
    live, missed = LiveAgreement(RATE, THRESHOLD), False
    agreed = np.cumsum(1 - wrong) / np.arange(1, len(wrong) + 1)
    for i in range(len(wrong)):
        live = live.after(float(score[i]), rate=RATE, disagreement=float(wrong[i]) if drawn[i] else None)
        low, high = live.interval
        missed |= not low <= agreed[i] <= high
    return missed, (high - low) / 2


def references_until_alarm(rng: np.random.Generator, risks: np.ndarray) -> float:
    """Infinite where it does not sound."""
    alarm = Alarm(ALPHA, BOUND)
    for wrong in rng.random(len(risks)) < risks:
        alarm = alarm.after(float(wrong))
        if alarm.raised:
            return alarm.references
    return np.inf


def false_alarms(*, runs: int, within: int, seed: int = 1) -> int:
    """Runs that sound within so many references at a risk of alpha."""
    rng = np.random.default_rng(seed)
    return sum(references_until_alarm(rng, np.full(within, ALPHA)) <= within for _ in range(runs))


def median_delay(risk: float, *, runs: int, seed: int = 2) -> float:
    """References from the rise on, among runs without an alarm before it."""
    rng, settled, delays = np.random.default_rng(seed), 500, list[float]()
    for _ in range(runs):
        found = references_until_alarm(rng, np.repeat([BEFORE, risk], [settled, 4000])) - settled
        if found > 0:
            delays.append(found)
    return float(np.median(delays))


def of_intervals(findings: Findings, *, runs: int) -> None:
    """The first table."""
    findings.lines += [
        "| calibrator | risk | runs whose interval ever misses | half-width at the end |",
        "|---" * 4 + "|",
    ]
    kinds = [(too_sure, rise) for too_sure in (1.0, 2.0) for rise in (1.0, 5.0)]
    for too_sure, rise in track(kinds, description=f"intervals, {runs} runs of {ANSWERS} answers"):
        found = intervals(runs=runs, too_sure=too_sure, rise=rise)
        words = ("right" if too_sure == 1 else "too sure", "steady" if rise == 1 else "rises half-way")
        findings.lines.append(f"| {' | '.join(words)} | {found.misses / runs:.1%} | {found.half_width:.3f} |")
        told = f"calibrator {words[0]}, risk {words[1]}: the interval misses in {found.misses} of {runs} runs"
        findings.need(found.misses <= MISSES * runs, told)


def of_alarms(findings: Findings, *, runs: int) -> None:
    """The second and the third table."""
    head = f"| m | alarms within m references at a risk of alpha | m / B (B = {BOUND:.0f}) |"
    findings.lines += ["", head, "|---|---|---|"]
    for within in track((100, 500, 2000), description="false alarms"):
        sounded, most = false_alarms(runs=runs, within=within), allowed(runs, within / BOUND)
        findings.lines.append(f"| {within} | {sounded / runs:.1%} | {within / BOUND:.0%} |")
        told = f"{sounded} of {runs} runs sound within {within} references at a risk of alpha, at most {most:.1f} may"
        findings.need(sounded <= most, told)
    head = f"| risk rises from {BEFORE:.0%} to | median references until the alarm | elsewhere |"
    findings.lines += ["", head, "|---|---|---|"]
    for risk, elsewhere in track(DELAYS.items(), description="delays"):
        found = median_delay(risk, runs=runs)
        findings.lines.append(f"| {risk:.0%} | {found:.0f} | {elsewhere} |")
        told = f"risk rises to {risk:.0%}: the alarm takes {found:.0f} references, elsewhere {elsewhere}"
        findings.need(elsewhere / NEAR <= found <= elsewhere * NEAR, told)


def main() -> None:
    """Print the tables, and say what does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.validity_live")
    parser.add_argument("--runs", type=int, default=400)
    runs, findings = parser.parse_args().runs, Findings()
    of_intervals(findings, runs=runs)
    of_alarms(findings, runs=runs)
    findings.end()


if __name__ == "__main__":
    main()
