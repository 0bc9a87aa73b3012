"""Laws of forgetting: nothing leaves a window unseen, whatever is forgotten and when."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from distill.harvest import HarvestError, harvest
from ledger.database import connect
from ledger.forgetting import Meant, find, forget
from ledger.ingest import store
from ledger.queries import HARDLY_ANY, Use, record_uses
from ledger.releases import add_candidate, get, promote, set_adapter
from ledger.standing import standing
from tests.ledger.make import certified, exchange

ROWS = 240
CERTIFIED = 40  # the newest row that has


def recorded(folder):
    """Every row is a reference; a champion has learned from the first ten and was certified on the 40th."""
    engine = connect(f"sqlite:///{folder}/ledger.db")
    store(engine, [exchange(n, rho=1.0, reference=True) for n in range(ROWS)])
    name = add_candidate(engine, task="desk", cut_at=20.0, base_model="b", now=50.0).name
    set_adapter(engine, name, path="/a", digest="d")
    taught = [Use(f"id-{n:06d}", "train") for n in range(10)]
    record_uses(engine, release=name, uses=[*taught, Use(f"id-{CERTIFIED:06d}", "certify")])
    promote(engine, name, values=certified(), now=60.0)
    return engine, name


@settings(max_examples=20, deadline=None)
@example(gone={0, 41, ROWS - 1}, share=0.3)
@given(gone=st.sets(st.integers(0, ROWS - 1), min_size=1, max_size=6), share=st.sampled_from([0.3, 0.6, 0.95]))
def test_what_is_forgotten_teaches_nothing_certifies_nothing_and_is_missed(gone, share):
    with tempfile.TemporaryDirectory() as folder:
        engine, name = recorded(Path(folder))
        meant = Meant(exchanges=tuple(f"id-{n:06d}" for n in sorted(gone)))
        forget(engine, find(engine, meant, due=1e9), meant=meant, now=500.0)
        limits = {"max_rows": ROWS, "max_references": ROWS, "due": 1e9}
        fresh = range(CERTIFIED + 1, ROWS)
        if ROWS - 1 in gone and len(gone & set(fresh)) > HARDLY_ANY * len(fresh):  # nothing is left behind it
            with pytest.raises(HarvestError, match="no eligible request"):
                harvest(engine, task="desk", teacher="big", window_share=share, **limits)
            return
        found = harvest(engine, task="desk", teacher="big", window_share=share, **limits)
        stands = standing(engine, "desk", teacher="big", window_share=share)
        last = get(engine, name)
        engine.dispose()
    begins, ends = found.window_span
    span = {n for n in range(ROWS) if begins <= n <= ends}
    window = {int(row.at) for row in found.window}
    assert begins > CERTIFIED and window == span - gone
    assert found.forgotten == len(span & gone)
    assert found.forgotten <= HARDLY_ANY * len(fresh)  # more than that, and the window begins behind it
    assert not gone & {int(row.exchange_id[3:]) for row in found.older}
    assert (stands.rows, stands.references) == (len(found.older), len(window))
    learned = bool(gone & set(range(10)))
    assert (last.status, stands.forgotten) == (("forgotten", name) if learned else ("champion", None))
