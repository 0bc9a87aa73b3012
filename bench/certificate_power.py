"""How often a student that deserves a certificate gets one: where the fixed sequence begins makes the difference.

    python -m bench.certificate_power

Scores are uniform and P(disagree | s) is known, so the risk above every threshold is. "strictest" begins at the first
threshold that accepts three times the smallest sample; "likeliest" where fit rows say a first step passes most easily
(`frozen_grid`). Both are tried past the power gate only. The table is in docs/decisions/0004.
"""

from collections.abc import Callable

import numpy as np
from rich.progress import track

from calibration.certificate import Certificate, Contract
from calibration.certify import MIN_POWER, Plan, ScoredRow, certify, frozen_grid, predicted_power, score_grid

RUNS = 100
SIZES = [(140, 290, 0.10), (200, 380, 0.10), (300, 1000, 0.05)]  # fit rows, window rows, alpha
Risk = Callable[[np.ndarray], np.ndarray]
# Given at alpha = .1, in proportion at others. A floor is a teacher that errs, or a student that is surely wrong.
STUDENTS: dict[str, Risk] = {
    ".025 + .45 (1-s)^4": lambda s: 0.025 + 0.45 * (1 - s) ** 4,
    ".025 + .90 (1-s)^4": lambda s: 0.025 + 0.9 * (1 - s) ** 4,
    ".06 + .50 (1-s)^3": lambda s: 0.06 + 0.5 * (1 - s) ** 3,
    ".90 (1-s)^2": lambda s: 0.9 * (1 - s) ** 2,
    ".05 everywhere": lambda s: 0.05 + 0 * s,
    ".11 everywhere": lambda s: 0.11 + 0 * s,
}


def draw(rng: np.random.Generator, n: int, risk: Risk) -> list[ScoredRow]:
    scores = rng.random(n).round(6)
    wrong = rng.random(n) < risk(scores)
    return [ScoredRow(float(s), float(d)) for s, d in zip(scores, wrong, strict=True)]


def risk_above(threshold: float, risk: Risk) -> float:
    return float(risk(np.linspace(threshold, 1.0, 2001)).mean())


def measure(risk: Risk, *, fit_rows: int, n: int, alpha: float) -> dict[str, str]:
    """Shares of runs with a certificate, with a false one, and the mean coverage, a refusal counting 0."""
    contract, rng = Contract(alpha, 0.05), np.random.default_rng(0)
    scaled: Risk = lambda s: risk(s) * alpha / 0.1  # noqa: E731
    found: dict[str, list[tuple[bool, float]]] = {"strictest": [], "likeliest": []}
    for _ in range(RUNS):
        fit, window = draw(rng, fit_rows, scaled), draw(rng, n, scaled)
        if predicted_power(fit, contract=contract, n=n) < MIN_POWER:
            continue
        grids = {
            "strictest": score_grid([row.score for row in fit]),
            "likeliest": frozen_grid(fit, contract=contract, n=n),
        }
        for name, grid in grids.items():
            issued = certify(window, plan=Plan(contract, grid, (0.0, 1.0), "f", 0.0))
            if isinstance(issued, Certificate):
                found[name].append((risk_above(issued.threshold, scaled) > alpha, 1 - issued.threshold))
    return {name: _words(certificates) for name, certificates in found.items()}


def _words(certificates: list[tuple[bool, float]]) -> str:
    issued, false = len(certificates) / RUNS, sum(wrong for wrong, _ in certificates) / RUNS
    return f"{issued:.2f} / {false:.2f} / {sum(coverage for _, coverage in certificates) / RUNS:.2f}"


def main() -> None:
    lines = ["| P(disagree at s) | fit, window, alpha | strictest | likeliest |", "|---|---|---|---|"]
    cells = [(name, size) for size in SIZES for name in STUDENTS]
    for name, (fit_rows, n, alpha) in track(cells, description="issued / false / coverage"):
        row = measure(STUDENTS[name], fit_rows=fit_rows, n=n, alpha=alpha)
        lines.append(f"| {name} | {fit_rows}, {n}, {alpha} | {row['strictest']} | {row['likeliest']} |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
