import json
import logging
import os
import time
from pathlib import Path

import pytest

from distill.checkpoints import FOLDER, KEEP_S, MOST_BEGINS, WHOLE, Checkpoints, checkpoints, drop, unfinished
from distill.errors import DistillError


class Killed(BaseException):
    """As by a signal: nothing is tidied up."""


def saved(place, step, *, lesson="rows"):
    folder = place.lesson(lesson) / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"learned")
    place.seal(folder)
    return folder


def ended(tmp_path, error, *, release="desk--v000001", digest="d", step=4):
    """A training that has gone on where it could, and has ended at a step."""
    with pytest.raises(error), checkpoints(tmp_path, digest=digest, release=release) as place:
        place.last("rows")
        if step:
            saved(place, step)
        raise error


def opened(tmp_path, *, digest="d"):
    place = Checkpoints(tmp_path, digest=digest, release="desk--v000002")
    place.begin()
    return place


def left(tmp_path):
    return [each.name for each in (tmp_path / FOLDER).glob("*/*/*")]


def test_the_newest_is_gone_on_from_and_no_other_is_kept(tmp_path):
    with pytest.raises(Killed), checkpoints(tmp_path, digest="d", release="a") as place:
        saved(place, 4)
        saved(place, 12)
        raise Killed
    assert left(tmp_path) == ["checkpoint-12"]
    assert opened(tmp_path).last("rows").name == "checkpoint-12"
    assert opened(tmp_path, digest="other").last("rows") is None


def test_what_a_lesson_came_to_takes_the_place_of_its_checkpoints(tmp_path):
    place = opened(tmp_path)
    saved(place, 4)
    over = place.finish("rows")
    (over / "best").write_bytes(b"learned")
    place.seal(over)
    saved(place, 2, lesson="pairs")
    again = opened(tmp_path)
    assert again.done("rows").name == "done" and again.done("pairs") is None
    assert sorted(left(tmp_path)) == ["checkpoint-2", "done"]


def test_nothing_is_left_of_what_has_succeeded(tmp_path):
    with checkpoints(tmp_path, digest="d", release="a") as place:
        saved(place, 4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoil", ["cut off", "altered", "missing", "unsealed"])
def test_a_damaged_one_is_not_gone_on_from(tmp_path, caplog, spoil):
    place = opened(tmp_path)
    folder = saved(place, 4)
    if spoil == "cut off":
        (folder / "weights").write_bytes(b"lear")
    elif spoil == "altered":
        (folder / "weights").write_bytes(b"Learned")
    elif spoil == "missing":
        (folder / "weights").unlink()
    else:
        (folder / WHOLE).write_text((folder / WHOLE).read_text()[:-1])
    with caplog.at_level(logging.WARNING):
        assert place.last("rows") is None
    assert "checkpoint-4 is damaged or was cut off" in caplog.text
    assert not left(tmp_path) and not place.went_on


def test_behind_one_that_was_cut_off_is_the_one_before_it(tmp_path):
    place = opened(tmp_path)
    whole = saved(place, 9)
    whole.with_name("checkpoint-10").mkdir()
    assert place.last("rows") == whole and left(tmp_path) == ["checkpoint-9"]


def test_what_cannot_succeed_is_not_gone_on_with_and_an_error_once(tmp_path):
    ended(tmp_path, DistillError)
    assert not list(tmp_path.iterdir())
    ended(tmp_path, MemoryError)
    assert left(tmp_path)
    ended(tmp_path, MemoryError, step=None)
    assert not list(tmp_path.iterdir())


def test_one_that_was_killed_before_its_first_checkpoint_leaves_nothing_if_it_can(tmp_path):
    ended(tmp_path, Killed, step=None)
    assert not list(tmp_path.iterdir())


def test_what_ends_every_training_before_its_next_checkpoint_starts_over(tmp_path, caplog):
    ended(tmp_path, Killed)
    for _ in range(MOST_BEGINS):
        ended(tmp_path, Killed, step=None)
    assert left(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert opened(tmp_path).last("rows") is None
    assert f"ended {MOST_BEGINS} times after the same checkpoint" in caplog.text


def test_a_checkpoint_on_the_way_counts_as_getting_on(tmp_path):
    for step in range(1, 2 * MOST_BEGINS):
        ended(tmp_path, Killed, step=step)
    assert left(tmp_path) == [f"checkpoint-{2 * MOST_BEGINS - 1}"]


def test_it_is_found_by_the_release_that_it_was_last_for(tmp_path):
    assert not unfinished(tmp_path, "desk--v000001")
    ended(tmp_path, Killed)
    assert unfinished(tmp_path, "desk--v000001") and not unfinished(tmp_path, "desk--v000002")
    ended(tmp_path, Killed, release="desk--v000002", step=None)
    assert unfinished(tmp_path, "desk--v000002") and not unfinished(tmp_path, "desk--v000001")


def test_it_is_deleted_with_its_task(tmp_path):
    ended(tmp_path, Killed)
    ended(tmp_path, Killed, release="other--v000001", digest="o")
    (tmp_path / FOLDER / "d" / "about.json").write_text(json.dumps({"release": "desk--v000001", "begins": 0}))
    drop(tmp_path, "des")
    assert unfinished(tmp_path, "desk--v000001")
    drop(tmp_path, "desk")
    assert not unfinished(tmp_path, "desk--v000001") and unfinished(tmp_path, "other--v000001")


def test_of_whom_nothing_is_known_goes_with_any_task(tmp_path):
    ended(tmp_path, Killed)
    (tmp_path / FOLDER / "d" / "about.json").write_text("{")
    drop(tmp_path, "another")
    assert not left(tmp_path)


def test_an_old_one_is_not_waited_for_and_leaves_with_the_next_training(tmp_path):
    ended(tmp_path, Killed)
    yesterday = time.time() - KEEP_S - 1
    os.utime(tmp_path / FOLDER / "d" / "about.json", (yesterday, yesterday))
    assert not unfinished(tmp_path, "desk--v000001")
    opened(tmp_path, digest="other")
    assert not left(tmp_path)


def test_one_that_is_killed_while_it_notes_who_goes_on_is_still_known(tmp_path, monkeypatch):
    place = opened(tmp_path)
    saved(place, 4)

    def cut_off(path, *_):
        path.open("w").close()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut_off)
        with pytest.raises(Killed):
            place.begin()
    assert unfinished(tmp_path, "desk--v000002") and opened(tmp_path).last("rows")
