from dataclasses import dataclass

import pytest

from distill.attention import Attention
from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.spool import SpoolWriter
from tests.ledger.make import student_exchange


@dataclass(frozen=True)
class Champion:
    name: str
    task: str = "desk"


@pytest.fixture
def ledger(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def record(engine, spool_dir, numbers, *, release="desk--v000001", **fields):
    spool = SpoolWriter(spool_dir)
    for number in numbers:
        spool.append(student_exchange(number, task="desk", release=release, at=1000.0 + number, **fields))
    spool.close()
    ingest_once(engine, spool_dir)


def test_a_shift_is_noticed_once_and_found_again_by_the_next_leader(ledger, tmp_path):
    attention, champion = Attention(ledger), Champion("desk--v000001")
    record(ledger, tmp_path / "spool", range(400), score=0.9)
    assert attention.look(champion) == []
    record(ledger, tmp_path / "spool", range(400, 600), score=0.5)
    (notice,) = [each for each in attention.look(champion) if each.trigger == "score"][:1]
    assert (notice.action, notice.release) == ("notice", "desk--v000001")
    assert 1400.0 <= notice.at < 1600.0 and notice.reason.startswith("the mean score has gone from 0.8")
    assert attention.look(champion) == []
    assert notice in Attention(ledger).look(champion)


def test_what_the_release_was_not_asked_since_it_is_unfamiliar_is_followed_too(ledger, tmp_path):
    attention, champion = Attention(ledger), Champion("desk--v000001")
    record(ledger, tmp_path / "spool", range(300), score=0.9)
    assert attention.look(champion) == []
    unasked = {"score": None, "draft": None, "route": "teacher", "reason": "unfamiliar"}
    record(ledger, tmp_path / "spool", range(300, 400), **unasked)
    assert {notice.trigger for notice in attention.look(champion)} == {"unfamiliarity"}


def test_each_release_begins_anew(ledger, tmp_path):
    attention = Attention(ledger)
    record(ledger, tmp_path / "spool", range(300), score=0.9)
    assert attention.look(Champion("desk--v000001")) == []
    record(ledger, tmp_path / "spool", range(300, 600), score=0.5, release="desk--v000002")
    assert attention.look(Champion("desk--v000002")) == []
