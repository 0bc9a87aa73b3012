"""What scoring one draft costs in the gateway, and what certifying a large window does.

    python -m bench.scoring

Microseconds for evidence and score of one draft of eight tokens with twenty alternatives each; seconds and further
memory for a power gate, a frozen grid and a test over 100,000 rows.
"""

import resource
import statistics
import time

import numpy as np

from calibration.certificate import Contract
from calibration.certify import Plan, ScoredRow, certify, frozen_grid, predicted_power
from calibration.evidence import Alternative, TokenLogprob, evidence
from calibration.fit import fit_calibrator

ROUNDS, DRAFTS, ROWS, FIT_ROWS = 7, 2000, 100_000, 4000
TOKENS, ALTERNATIVES = 8, 20


def a_draft(rng: np.random.Generator) -> list[TokenLogprob]:
    found = []
    for number in range(TOKENS):
        probabilities = np.sort(rng.dirichlet(np.full(ALTERNATIVES, 0.1)))[::-1] + 1e-9
        logs = tuple(np.log(probabilities / probabilities.sum()).tolist())
        found.append(TokenLogprob(f" word{number}", logs[0], list(map(Alternative, logs))))
    return found


def score_one() -> list[float]:
    """Microseconds a draft, one figure a round."""
    rng = np.random.default_rng(0)
    drafts = [a_draft(rng) for _ in range(200)]
    facts = [evidence(tokens, prompt_tokens=80) or {} for tokens in drafts]
    calibrator = fit_calibrator(facts, [bool(rng.random() < 0.8) for _ in facts])
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for number in range(DRAFTS):
            calibrator.score(evidence(drafts[number % len(drafts)], prompt_tokens=80) or {})
        rounds.append((time.perf_counter() - started) / DRAFTS * 1e6)
    return rounds


def certify_many() -> tuple[float, float]:
    """Seconds, and MiB beyond what the rows themselves take."""
    rng, contract = np.random.default_rng(1), Contract(0.05, 0.05, 0.2)
    scores = rng.random(ROWS + FIT_ROWS).round(6)
    wrong = rng.random(len(scores)) < 0.45 * (1 - scores) ** 2
    rows = [ScoredRow(float(s), float(d)) for s, d in zip(scores, wrong, strict=True)]
    before, started = _peak_mib(), time.perf_counter()
    fit, window = rows[:FIT_ROWS], rows[FIT_ROWS:]
    predicted_power(fit, contract=contract, n=len(window))
    certify(window, plan=Plan(contract, frozen_grid(fit, contract=contract, n=len(window)), (0.0, 1.0), "f", 0.0))
    return time.perf_counter() - started, _peak_mib() - before


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print both."""
    rounds = score_one()
    print(f"a draft: {min(rounds):.0f} / {statistics.median(rounds):.0f} / {max(rounds):.0f} us (least, median, most)")
    seconds, mib = certify_many()
    print(f"{ROWS} rows: {seconds:.2f} s, {mib:.0f} MiB")


if __name__ == "__main__":
    main()
