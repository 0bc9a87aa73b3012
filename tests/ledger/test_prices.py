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


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_impossible_prices_are_refused(wrong):
    with pytest.raises(ValueError, match="price"):
        Price(wrong, 0.0)
    with pytest.raises(ValueError, match="price"):
        Price(0.0, 0.0, wrong)
