"""Exact binomial tail probabilities and bounds (Clopper & Pearson 1934)."""

import math

from scipy.stats import beta, binom


def binomial_p_value(errors: int, n: int, alpha: float) -> float:
    """P(Bin(n, alpha) <= errors): how likely so few errors are if the true risk is alpha. 1 for n = 0."""
    return float(binom.cdf(errors, n, alpha)) if n else 1.0


def upper_bound(errors: int, n: int, delta: float) -> float:
    """One-sided upper confidence bound on the risk at level 1 - delta. 1 for n = 0."""
    return 1.0 if errors >= n else float(beta.ppf(1.0 - delta, errors + 1, n - errors))


def lower_bound(hits: int, n: int, delta: float) -> float:
    """One-sided lower confidence bound on a rate at level 1 - delta. 0 for n = 0."""
    return 0.0 if hits == 0 or n == 0 else float(beta.ppf(delta, hits, n - hits + 1))


def binomial_interval(errors: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of a rate, for one look at n independent rows. (0, 1) for n = 0."""
    tail = (1.0 - confidence) / 2
    return lower_bound(errors, n, tail), upper_bound(errors, n, tail)


def smallest_sample(alpha: float, delta: float) -> int:
    """The fewest rows without an error that reject a risk of alpha at level delta: ceil(ln delta / ln(1 - alpha))."""
    return math.ceil(math.log(delta) / math.log1p(-alpha))
