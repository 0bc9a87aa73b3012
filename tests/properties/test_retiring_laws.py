"""Whatever the ledger holds, nothing that is in use leaves an engine or the disk, nor what a rollback goes back to."""

import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from distill.clearing import Alike, Clear, find
from distill.retiring import Shelf
from ledger import releases
from ledger.database import connect
from ledger.ended import IN_USE, ended, set_deleted
from tests.ledger.make import certified

BINDING = {"teacher": "openai/big"}
ENDED_S, LIVES_S = 80.0, 5000.0
STEPS = ("release", "candidate", "promote", "try", "hold", "refuse", "void", "roll back", "reinstate", "crown", "wait")


def release(engine, *, values, now):
    name = releases.add_candidate(engine, task="desk", cut_at=now, base_model="b", now=now).name
    releases.promote(engine, name, values=values, now=now)


def take(engine, step, *, now, coverage):
    """One step of a life; what cannot be taken is refused and changes nothing."""
    values = certified(bound_to=BINDING, coverage=coverage, expires_at=now + LIVES_S)
    known, serves = releases.history(engine, "desk"), releases.served(engine)
    first, last = (known[0].name, known[-1].name) if known else ("", "")
    steps = {
        "release": lambda: release(engine, values=values, now=now),
        "candidate": lambda: releases.add_candidate(engine, task="desk", cut_at=now, base_model="b", now=now),
        "promote": lambda: releases.promote(engine, last, values=values, now=now),
        "try": lambda: releases.try_out(engine, last, values=values, now=now),
        "hold": lambda: releases.hold(engine, last, values=values, now=now),
        "crown": lambda: releases.crown(engine, last, now=now),
        "refuse": lambda: releases.refuse(engine, last, refusal={"reason": "r"}, report={}, now=now),
        "void": lambda: releases.void(engine, serves[0].name if serves else "", reason="alarm", now=now),
        "roll back": lambda: releases.rollback(engine, "desk", binding=BINDING, now=now),
        "reinstate": lambda: releases.reinstate(engine, first, binding=BINDING, now=now),
        "wait": lambda: None,
    }
    with suppress(releases.ReleaseError):
        steps[step]()


def returns(found, known, now):
    """Whether a rollback would come to it, had it its adapter."""
    voided_at = max((each.changed_at for each in known if each.status == "voided"), default=0.0)
    return found.status == "retired" and found.changed_at > voided_at and found.certificate["expires_at"] > now


made = st.sampled_from(STEPS) | st.just("release")  # half of them, so that many come to an end
step = st.tuples(made, st.sampled_from([1.0, 50.0, 500.0]), st.sampled_from([0.2, 0.5]))


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(step, min_size=1, max_size=25), keep=st.integers(0, 3))
def test_nothing_that_is_needed_ever_goes(steps, keep):
    with tempfile.TemporaryDirectory() as folder:
        engine, shelf = connect(f"sqlite:///{folder}/ledger.db"), Path(folder) / "adapters"
        shelf.mkdir()
        clear = Clear(Shelf("http://nowhere", shelf, ["desk"], ENDED_S), {"desk": Alike(BINDING, 0.1)}, keep)
        now = 1000.0
        for what, passed_s, coverage in steps:
            now += passed_s
            take(engine, what, now=now, coverage=coverage)
            known = releases.history(engine, "desk")
            for each in known:
                if not each.gone:
                    (shelf / each.name).mkdir(exist_ok=True)
                    (shelf / f".{each.name}.partial").mkdir(exist_ok=True)
            in_use = {each.name for each in known if each.status in IN_USE}
            found = find(engine, clear, "desk", now=now)
            assert not ended(engine, ["desk"], before=now + 1e9) & in_use
            assert not found.whole & in_use
            assert not {path.name for path in found.partial} & {f".{name}.partial" for name in in_use}
            assert found.abandoned == any(each.status == "candidate" for each in known)
            assert set_deleted(engine, found.whole, before=now - ENDED_S) == found.whole
            left = [each for each in known if each.name not in found.whole and not each.gone]
            assert len(left) >= min(keep, len(known) - sum(bool(each.gone) for each in known))
            assert not [
                each.name for each in releases.history(engine, "desk") if each.gone and returns(each, known, now)
            ]
        engine.dispose()
