"""Where a next LoRA begins, and what may not judge it then."""

import json
from types import SimpleNamespace

import pytest

from distill import warm
from distill.adapters import digest
from distill.curate import Rejected
from distill.lessons import Lessons
from distill.train import TrainConfig
from distill.warm import begin
from tests.distill import tiny

ROWS = tiny.rows(120)
LESSONS = Lessons(tuple(ROWS[:20]), tuple(ROWS[20:30]), tuple(ROWS[30:]))


@pytest.fixture
def champion(tmp_path, monkeypatch):
    """In force, with an adapter that these rows have taught."""
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 16}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    taught = {row.exchange_id for row in (*ROWS[:5], *ROWS[20:25], *ROWS[30:32])}
    held = SimpleNamespace(
        name="desk--v000001", base_model="b", adapter_path=str(tmp_path), adapter_digest=digest(tmp_path)
    )
    monkeypatch.setattr(warm, "champions", lambda _: {"desk": held})
    monkeypatch.setattr(warm, "rows_that_taught", lambda _, digest: taught if digest == held.adapter_digest else set())
    return held


def begun(lessons=LESSONS, *, asked="champion", task="desk", base="b", rank=16):
    return begin(None, lessons, task=task, asked=asked, config=TrainConfig(base, rank=rank))


def test_what_has_taught_the_champion_neither_stops_nor_fits_the_one_that_goes_on(champion, tmp_path):
    rejected = (Rejected(ROWS[0].exchange_id, "duplicate"), Rejected("x", "duplicate"))
    lessons, because = begun(Lessons(LESSONS.train, LESSONS.validate, LESSONS.fit, rejected=rejected))
    assert because == "distill.start is champion, which is desk--v000001"
    assert (lessons.train, lessons.validate, lessons.fit) == (tuple(ROWS[:20]), tuple(ROWS[25:30]), tuple(ROWS[32:]))
    assert lessons.rejected == rejected[1:]
    assert lessons.goes_on.release == champion.name and lessons.goes_on.adapter == tmp_path


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"asked": "base"}, "distill.start is base"),
        ({"task": "other"}, "no release is in force to go on from"),
        ({"base": "c"}, "desk--v000001 is an adapter of b, not of c"),
        ({"rank": 8}, "desk--v000001 has rank 16, and distill.rank is 8"),
        (
            {"lessons": Lessons(LESSONS.train, LESSONS.validate, LESSONS.fit[:20])},
            "18 rows to fit a calibrator on have not taught desk--v000001",
        ),
    ],
)
def test_where_it_cannot_go_on_it_begins_from_the_base_model_and_says_why(champion, asked, words):
    lessons, because = begun(**asked)
    assert lessons == asked.get("lessons", LESSONS) and because.startswith(words)


def test_an_adapter_that_was_altered_is_not_gone_on_from(champion, tmp_path):
    (tmp_path / "adapter_model.safetensors").write_bytes(b"others")
    lessons, because = begun()
    assert lessons is LESSONS and "was altered" in because
