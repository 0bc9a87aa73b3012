"""Prices are versioned, and none is negative."""

import pytest
import sqlalchemy as sa

from ledger.database import connect
from ledger.prices import Price, current_prices, write_price
from ledger.records import Usage
from ledger.schema import prices


def test_the_newest_price_is_in_force_and_an_unchanged_one_is_not_written_again(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    for at, price in enumerate([Price(1e-6, 2e-6), Price(1e-6, 2e-6), Price(3e-6, 4e-6)]):
        write_price(engine, "big", price, source="settings", at=float(at))
    assert current_prices(engine) == {"big": Price(3e-6, 4e-6)}
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(prices)).scalar() == 2


def test_cost_is_tokens_times_price():
    assert Price(2e-6, 8e-6).cost(Usage(1000, 100)) == pytest.approx(0.0028)


def test_what_a_provider_has_read_before_has_a_price_of_its_own():
    read_before = Usage(1000, 100, cached_tokens=600)
    assert Price(2e-6, 8e-6, 5e-7).cost(read_before) == pytest.approx(400 * 2e-6 + 600 * 5e-7 + 100 * 8e-6)
    assert Price(2e-6, 8e-6).cost(read_before) == pytest.approx(0.0028)


def test_a_price_of_before_is_another_price_once_it_knows_what_is_read_again(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    for at, price in enumerate([Price(1e-6, 2e-6), Price(1e-6, 2e-6, 5e-7)]):
        write_price(engine, "big", price, source="settings", at=float(at))
    assert current_prices(engine) == {"big": Price(1e-6, 2e-6, 5e-7)}


EVERY_KIND = Price(2e-6, 8e-6, 2e-7, 2.5e-6, 32e-6, 64e-6, 16e-6)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        # 100 at 2, 600 at 0.2, 300 at 2.5; 100 at 8
        (Usage(1000, 100, cached_tokens=600, cache_write_tokens=300), 200e-6 + 120e-6 + 750e-6 + 800e-6),
        # 250 at 2, 750 at 32; 40 at 64, 60 at 8
        (Usage(1000, 100, audio_prompt_tokens=750, audio_completion_tokens=40), 500e-6 + 24e-3 + 2560e-6 + 480e-6),
        # 1000 at 2; 90 of reasoning at 16, 10 at 8
        (Usage(1000, 100, reasoning_tokens=90), 2e-3 + 1440e-6 + 80e-6),
    ],
)
def test_each_kind_of_token_has_its_price(usage, usd):
    assert EVERY_KIND.cost(usage) == pytest.approx(usd, rel=1e-12)
    assert Price(2e-6, 8e-6).cost(usage) == pytest.approx(0.0028)  # as others, where nothing else is said
    assert EVERY_KIND.most(usage) >= EVERY_KIND.cost(usage)


LONGER = Price(1e-6, 10e-6, 1e-7, above=((1000, Price(2e-6, 15e-6, 2e-7)), (5000, Price(4e-6, 30e-6))))


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(1000, 10, 500), 500e-6 + 50e-6 + 100e-6),
        (Usage(1001, 10, 500), 501 * 2e-6 + 100e-6 + 150e-6),
        (Usage(5001, 10, 500), 5001 * 4e-6 + 300e-6),
    ],
)
def test_a_long_prompt_has_the_price_of_long_prompts(usage, usd):
    assert LONGER.cost(usage) == pytest.approx(usd, rel=1e-12)


def test_what_is_promised_is_the_dearest_that_may_come():
    assert EVERY_KIND.most(Usage(1000, 100)) == pytest.approx(1000 * 2.5e-6 + 100 * 16e-6)
    spoken = Usage(1000, 100, audio_prompt_tokens=1000, audio_completion_tokens=100)
    assert EVERY_KIND.most(spoken) == pytest.approx(1000 * 32e-6 + 100 * 64e-6)
    assert LONGER.most(Usage(2000, 1)) == pytest.approx(2000 * 2e-6 + 15e-6)
    odd = Price(2e-6, 8e-6, 3e-6, above=((1000, Price(1e-6, 4e-6)),))  # no provider's, but settings may say so
    for prompt in (1, 900, 1001):  # a promise knows letters, of which there are more than tokens
        assert odd.most(Usage(2000, 10)) >= odd.cost(Usage(prompt, 10, cached_tokens=prompt))


def test_a_price_comes_back_from_the_ledger_with_all_its_kinds(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    for price in (EVERY_KIND, LONGER, LONGER, Price(1e-6, 10e-6, 1e-7)):
        write_price(engine, "big", price, source="settings", at=1.0)
        assert current_prices(engine) == {"big": price}
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(prices)).scalar() == 3


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_impossible_prices_are_refused(wrong):
    with pytest.raises(ValueError, match="price"):
        Price(wrong, 0.0)
    with pytest.raises(ValueError, match="price"):
        Price(0.0, 0.0, wrong)
    with pytest.raises(ValueError, match="price"):
        Price(0.0, 0.0, reasoning_usd_per_token=wrong)
