from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill import unread
from distill.unread import LATE_S, Unread


@dataclass(frozen=True, order=True)
class Row:
    at: float
    exchange_id: str


def reader(rows):
    def read(after, limit):
        return sorted(row for row in rows if (row.at, row.exchange_id) > after)[:limit]

    return read


def numbers(pages):
    return [int(row.exchange_id) for page in pages for row in page]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(unread, "AT_ONCE", 3)


@given(st.lists(st.integers(0, int(LATE_S) - 1), min_size=1, max_size=30), st.randoms())
def test_every_row_is_read_once_in_whatever_order_they_are_recorded(times, random):
    rows = [Row(float(at), str(number)) for number, at in enumerate(times)]
    recorded, found, left = [], [], random.sample(rows, len(rows))
    reading = Unread()
    while left:
        recorded += left[:4]
        left = left[4:]
        found += numbers(reading.pages(reader(recorded)))
    assert sorted(found) == list(range(len(rows)))


def test_what_is_read_is_forgotten_when_nothing_can_come_beside_it():
    reading = Unread()
    rows = [Row(number * LATE_S / 2, str(number)) for number in range(20)]
    assert numbers(reading.pages(reader(rows))) == list(range(20))
    assert len(reading._read) <= 3
    assert numbers(reading.pages(reader(rows))) == []


def test_a_page_is_in_order_and_more_recent_rows_than_a_page_holds_stop_nothing():
    reading = Unread()
    rows = [Row(1.0 + number / 100, str(number)) for number in range(50)]
    assert numbers(reading.pages(reader(rows))) == list(range(50))
    rows.append(Row(0.5, "50"))
    assert numbers(reading.pages(reader(rows))) == [50]
