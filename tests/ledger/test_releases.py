"""A release's life: every step is allowed once, and there is one champion."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger import releases
from ledger.database import connect
from ledger.releases import ReleaseError

VALUES = {"fingerprint": "f", "calibrator": {"bias": 0.0}, "certificate": {"threshold": 0.5}, "report": {}}


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def candidate(engine) -> str:
    return releases.add_candidate(engine, task="desk", cut_at=1.0, base_model="base", now=2.0).name


def statuses(engine) -> list[str]:
    return [release.status for release in releases.history(engine, "desk")]


def test_promotion_retires_the_old_champion(engine):
    first, second = candidate(engine), candidate(engine)
    assert (first, second) == ("desk--v000001", "desk--v000002")
    releases.promote(engine, first, values=VALUES, now=3.0)
    releases.promote(engine, second, values=VALUES, now=4.0)
    assert statuses(engine) == ["retired", "champion"]
    assert releases.champions(engine)["desk"].certificate == {"threshold": 0.5}


def test_rollback_brings_the_one_before_back_and_then_none(engine):
    for _ in range(2):
        releases.promote(engine, candidate(engine), values=VALUES, now=3.0)
    back = releases.rollback(engine, "desk", now=5.0)
    assert back is not None and back.name == "desk--v000001"
    assert statuses(engine) == ["champion", "rolled_back"]
    assert releases.rollback(engine, "desk", now=6.0) is None
    assert statuses(engine) == ["rolled_back", "rolled_back"]
    assert releases.champions(engine) == {}


def test_only_a_certified_candidate_is_promoted(engine):
    name = candidate(engine)
    with pytest.raises(ReleaseError, match="no certificate"):
        releases.promote(engine, name, values={**VALUES, "certificate": None}, now=3.0)
    releases.refuse(engine, name, refusal={"reason": "weak"}, report={}, now=3.0)
    with pytest.raises(ReleaseError, match="refused"):
        releases.promote(engine, name, values=VALUES, now=4.0)
    assert statuses(engine) == ["refused"]
    with pytest.raises(ReleaseError, match="no release named"):
        releases.get(engine, "nobody")


def test_two_promoters_at_once_leave_one_champion(engine):
    names = [candidate(engine) for _ in range(8)]

    def promote(name: str) -> None:
        try:
            releases.promote(engine, name, values=VALUES, now=3.0)
        except ReleaseError:
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(promote, names))
    assert statuses(engine).count("champion") == 1


def test_names_are_never_given_twice(engine):
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda _: candidate(engine), range(8)))
    assert len(set(names)) == 8
