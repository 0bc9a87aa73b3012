"""The best release so far, and when there is none to compare with."""

import pytest

from distill.adapters import digest
from distill.anchor import LAST_S, anchor
from ledger.database import connect
from ledger.releases import add_candidate, promote, set_adapter, void
from tests.ledger.make import certified

BINDING = {"teacher": "openai/big"}
NOW, FAR = 1e6, 1e6 + 10 * LAST_S


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path / 'ledger.db'}")


@pytest.fixture
def release(engine, tmp_path):
    """Make the next champion."""

    def make(*, coverage, bound_to=BINDING, expires_at=FAR, **certificate):
        made = add_candidate(engine, task="desk", cut_at=0.0, base_model="m", now=1.0)
        folder = tmp_path / made.name
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}")
        (folder / "adapter_model.safetensors").write_bytes(made.name.encode())
        set_adapter(engine, made.name, path=str(folder), digest=digest(folder))
        values = certified(bound_to=bound_to, coverage=coverage, expires_at=expires_at, **certificate)
        promote(engine, made.name, values=values, now=float(made.number))
        return made.name

    return make


def found(engine, *, alpha=0.1):
    best = anchor(engine, "desk", binding=BINDING, alpha=alpha, now=NOW)
    return best.name if best else None


def test_it_is_the_best_and_not_the_last(engine, release):
    release(coverage=0.5)
    best = release(coverage=0.8)
    release(coverage=0.7)
    assert found(engine) == best


def test_of_equal_ones_it_is_the_newest(engine, release):
    release(coverage=0.7)
    last = release(coverage=0.7)
    assert found(engine) == last


def test_without_one_in_force_a_certificate_is_enough(engine, release):
    assert found(engine) is None
    void(engine, release(coverage=0.8), reason="alarm", now=2.0)
    assert found(engine) is None


def test_behind_one_that_is_about_to_expire_is_the_teacher(engine, release):
    release(coverage=0.8)
    release(coverage=0.7, expires_at=NOW + LAST_S - 1)
    assert found(engine) is None


def test_what_was_certified_otherwise_is_another_thing(engine, release):
    release(coverage=0.9, alpha=0.2)
    release(coverage=0.9, bound_to={"teacher": "openai/other"})
    last = release(coverage=0.5)
    assert found(engine) == last
    assert found(engine, alpha=0.2) is None  # the one in force is of another contract: what is asked for is new


def test_one_whose_adapter_is_altered_or_gone_drafts_nothing(engine, release, tmp_path):
    altered, gone, last = release(coverage=0.9), release(coverage=0.8), release(coverage=0.5)
    (tmp_path / altered / "adapter_model.safetensors").write_bytes(b"other")
    for file in (tmp_path / gone).iterdir():
        file.unlink()
    assert found(engine) == last
