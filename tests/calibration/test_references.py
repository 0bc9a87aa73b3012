"""The reference draw is permanent, uniform, and independent between domains and keys."""

from calibration.references import draw

IDS = [f"exchange-{i}" for i in range(20_000)]


def test_a_draw_never_changes():
    assert draw(b"key", "a", domain="reference") == draw(b"key", "a", domain="reference") == 0.962301635284515


def test_draws_are_uniform_and_domains_independent():
    one = [draw(b"key", i, domain="reference") for i in IDS]
    other = [draw(b"key", i, domain="canary") for i in IDS]
    assert min(one) >= 0.0 and max(one) < 1.0
    for rho in (0.05, 0.2, 0.5):
        assert abs(sum(u < rho for u in one) / len(one) - rho) < 0.012
    both = sum(u < 0.5 and v < 0.5 for u, v in zip(one, other, strict=True)) / len(one)
    assert abs(both - 0.25) < 0.015
