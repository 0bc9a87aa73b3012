import asyncio
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from calibration.familiar import Familiar
from ledger import familiar, releases, schema
from ledger.database import connect, writing
from ledger.decisions import Decision, record
from ledger.prices import Price, write_price
from router import releases as watching
from router.releases import LedgerWatch
from tests.ledger.make import CALIBRATOR, CERTIFICATE, certified


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path / 'ledger.db'}")


def promote(engine, *, task="desk", values=None, cut_at=0.0, **certificate):
    name = releases.add_candidate(engine, task=task, cut_at=cut_at, base_model="b", now=1.0).name
    releases.promote(engine, name, values=certified(**certificate) | (values or {}), now=2.0)
    return name


def alter(engine, name, **values):
    """Change a release behind the ledger's back."""
    with writing(engine) as connection:
        connection.execute(schema.releases.update().where(schema.releases.c.name == name).values(**values))


def read(engine, **bindings):
    watch = LedgerWatch(engine, bindings=bindings)
    watch.refresh()
    return watch


def test_an_empty_ledger_has_no_champion_and_no_price(engine):
    watch = read(engine)
    assert (watch.champion("desk"), watch.price("big"), watch.champions()) == (None, None, {})


def test_the_champion_comes_with_its_own_threshold_and_calibrator(engine):
    promote(engine, threshold=0.8)
    name = promote(engine, threshold=0.9, cut_at=0.5)
    served = read(engine).champion("desk")
    facts = (served.name, served.threshold, served.calibrator.to_dict(), served.cut_at)
    assert facts == (name, 0.9, CALIBRATOR, 0.5)


def test_it_comes_with_the_modes_it_was_certified_in_and_an_older_one_with_the_free_mode(engine):
    promote(engine)
    assert read(engine).champion("desk").modes == {"free"}
    promote(engine, values={"report": {"bound_to": {"modes": "free json_object"}}})
    assert read(engine).champion("desk").modes == {"free", "json_object"}


@pytest.mark.parametrize(
    "damage",
    [
        {"certificate": {"alpha": 0.1, "threshold": 0.9}},
        {"certificate": {**CERTIFICATE, "threshold": "x"}},
        {"certificate": {**CERTIFICATE, "alpha": 1.5}},
        {"certificate": {**CERTIFICATE, "errors": 151}},
        {"calibrator": {"features": []}},
    ],
)
def test_a_release_that_cannot_be_used_is_not_in_force_and_the_others_are(engine, damage):
    promote(engine, values=damage)
    other = promote(engine, task="other")
    assert {task: served.name for task, served in read(engine).champions().items()} == {"other": other}


@pytest.mark.parametrize(
    "altered",
    [
        {"certificate": {**CERTIFICATE, "threshold": 0.1}},
        {"certificate": {**CERTIFICATE, "expires_at": 3e9}},
        {"calibrator": {**CALIBRATOR, "bias": 9.0}},
        {"adapter_digest": "another"},
        {"report": {"bound_to": {"teacher": "openai/other"}}},
    ],
)
def test_a_release_that_was_altered_after_its_promotion_is_not_in_force(engine, altered, caplog):
    alter(engine, promote(engine), **altered)
    assert read(engine).champion("desk") is None
    assert "its fingerprint differs" in caplog.text


def test_the_certificate_of_another_release_is_not_in_force(engine):
    promote(engine, threshold=0.2)
    lenient = releases.history(engine, "desk")[0]
    alter(engine, promote(engine), certificate=lenient.certificate, fingerprint=lenient.fingerprint)
    assert read(engine).champion("desk") is None


def test_a_release_that_was_certified_with_another_teacher_is_not_in_force_and_that_is_logged_once(engine, caplog):
    name = promote(engine, bound_to={"teacher": "openai/big", "base_model": "b"})
    assert read(engine, desk={"teacher": "openai/big", "base_model": "b"}).champion("desk").name == name
    watch = read(engine, desk={"teacher": "openai/bigger", "base_model": "b"})
    watch.refresh()
    assert watch.champion("desk") is None
    (said,) = [record.message for record in caplog.records if "not usable" in record.message]
    assert "certified with teacher 'openai/big', and now it is 'openai/bigger'" in said


def knowing(engine, text="where is my card"):
    """A champion that has learned from this."""
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name
    known = Familiar.with_all_of([text], seed=0).but(0.0, of=[text])
    bound = {"bound_to": {"familiar": familiar.keep(engine, name, known)}}
    releases.promote(engine, name, values=certified() | {"report": bound}, now=2.0)
    return name


def test_it_comes_with_what_taught_it_which_is_read_once(engine, monkeypatch):
    read_of, of = [], familiar.of
    monkeypatch.setattr(familiar, "of", lambda engine, row: read_of.append(row.name) or of(engine, row))
    promote(engine)
    assert read(engine).champion("desk").familiar is None
    name = knowing(engine)
    watch = read(engine)
    watch.refresh()
    served = watch.champion("desk")
    assert served.familiar.has("Where is my card") and not served.familiar.has("play jazz")
    assert read_of.count(name) == 1
    other = knowing(engine, "play jazz")
    watch.refresh()
    assert watch.champion("desk").familiar.has("play jazz") and read_of[-1] == other


def test_one_whose_lessons_are_gone_or_another_ones_is_not_in_force(engine, caplog):
    knowing(engine)
    with writing(engine) as connection:
        connection.execute(schema.familiar.update().values(lessons=b"another's"))
    assert read(engine).champion("desk") is None and "what taught it is not there" in caplog.text
    with writing(engine) as connection:
        connection.execute(schema.familiar.delete())
    assert read(engine).champion("desk") is None


def test_a_canary_comes_beside_the_champion_with_its_share(engine):
    champion = promote(engine)
    name = releases.add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=3.0).name
    releases.try_out(engine, name, values=certified(threshold=0.9), now=4.0)
    watch = LedgerWatch(engine, bindings={}, canary_share=0.2, canary_key=b"k")
    watch.refresh()
    canary = watch.canary("desk")
    assert (watch.champion("desk").name, canary.release.name, canary.release.threshold) == (champion, name, 0.9)
    assert (canary.share, canary.key, watch.canary("mail")) == (0.2, b"k", None)
    alter(engine, name, adapter_digest="another")
    watch.refresh()
    assert watch.canary("desk") is None and watch.champion("desk").name == champion


async def test_what_was_noticed_about_the_champion_and_no_other_is_known(engine):
    before = promote(engine)
    champion = promote(engine)
    for at, name in enumerate((before, champion, champion)):
        record(engine, Decision(float(at), "desk", "notice", "score", "lower", name))
    assert (await read(engine).seen(within_s=5.0)).noticed == {"desk": {"score": 2}}


async def test_a_ledger_that_hangs_is_asked_once_and_what_was_seen_before_is_shown_as_old(engine, monkeypatch):
    watch, asked, goes_on, seeing = LedgerWatch(engine, bindings={}), [], threading.Event(), watching.read
    assert (await watch.seen(within_s=5.0)).fresh

    def hanging(*arguments, **options):
        asked.append(arguments)
        assert goes_on.wait(30.0)
        return seeing(*arguments, **options)

    monkeypatch.setattr(watching, "read", hanging)
    shown = [await watch.seen(within_s=0.01) for _ in range(3)]
    assert [each.fresh for each in shown] == [False] * 3 and len(asked) == 1
    goes_on.set()
    assert (await watch.seen(within_s=30.0)).fresh and (await watch.seen(within_s=30.0)).fresh
    assert len(asked) == 2


async def test_what_is_shown_of_a_ledger_that_cannot_be_read_is_said_to_be_old(engine, monkeypatch):
    promote(engine)
    watch = LedgerWatch(engine, bindings={})
    before = await watch.seen(within_s=5.0)

    def broken(*_, **__):
        raise sa.exc.OperationalError("select", {}, Exception("disk I/O error"))

    with monkeypatch.context() as down:
        down.setattr(watching, "read", broken)
        assert await watch.seen(within_s=5.0) == replace(before, fresh=False)
    assert (await watch.seen(within_s=5.0)).fresh


def test_prices_follow_the_ledger(engine):
    write_price(engine, "big", Price(1e-6, 2e-6), source="settings", at=1.0)
    watch = read(engine)
    assert watch.price("big") == Price(1e-6, 2e-6)
    write_price(engine, "big", Price(3e-6, 2e-6), source="settings", at=2.0)
    watch.refresh()
    assert watch.price("big") == Price(3e-6, 2e-6)


async def test_a_price_that_another_process_has_seen_is_waited_for(engine):
    watch = LedgerWatch(engine, bindings={})
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0.05)  # it has read the ledger and waits
    write_price(engine, "big", Price(1e-6, 2e-6), source="settings", at=1.0)
    assert watch.price("big") is None
    assert await asyncio.wait_for(watch.price_soon("big"), 5.0) == Price(1e-6, 2e-6)
    assert await asyncio.wait_for(watch.price_soon("unknown"), 5.0) is None
    running.cancel()


async def runs_for(watch, seconds):
    with pytest.raises(TimeoutError):  # it never ends by itself
        await asyncio.wait_for(watch.run(), seconds)


async def test_a_ledger_that_does_not_answer_leaves_the_last_state_in_force(engine, monkeypatch):
    monkeypatch.setattr(watching, "POLL_S", 0.01)
    name = promote(engine)
    watch = read(engine)

    def broken(_):
        raise sa.exc.OperationalError("select", {}, Exception("disk I/O error"))

    with monkeypatch.context() as down:
        down.setattr(releases, "served", broken)
        await runs_for(watch, 0.3)
    assert watch.champion("desk").name == name
    releases.rollback(engine, "desk", binding={}, now=3.0)
    await runs_for(watch, 0.5)
    assert watch.champion("desk") is None
