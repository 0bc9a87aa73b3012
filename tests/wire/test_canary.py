"""A canary that goes wrong behind a real gateway: no client notices, and a worker ends its trial."""

import time

import pytest

from ledger import releases
from ledger.database import connect
from ledger.ingest import ingest_once
from tests.ledger.make import CALIBRATOR, certified
from tests.wire.rig import Rig, wait_for
from tests.wire.upstream import ENGINE, Act, Upstream, answering, slow, status
from tutelage.watching import compose

pytestmark = pytest.mark.e2e
TASK = "desk"


def made(rig: Rig, engine, *, step) -> str:
    name = releases.add_candidate(engine, task=TASK, cut_at=0.0, base_model="base", now=time.time()).name
    values = certified(bound_to={**rig.settings.binding(TASK), "engine": ENGINE})
    values["calibrator"] = {**CALIBRATOR, "features": ["first_logprob"], "bias": 5.0}
    step(engine, name, values=values, now=time.time())
    return name


def only(act: Act, model: str) -> Act:
    """`act` for one model, the others as it should be."""

    async def either(upstream: Upstream, request, body):
        return await (act if body["model"] == model else answering)(upstream, request, body)

    return either


def ask(rig: Rig, number: int):
    reply = rig.ask(TASK, messages=[{"role": "user", "content": f"Where is parcel {number}?"}])
    assert reply.status == 200, reply
    return reply.headers["x-tutelage-release"], reply.headers["x-tutelage-route"]


@pytest.mark.parametrize("wrong", [status(404), slow(first_s=0.5), None], ids=["refused", "slow", "well"])
def test_a_worker_ends_the_trial_of_what_goes_wrong_and_promotes_what_does_not(rig, monkeypatch, wrong):
    monkeypatch.setattr("distill.canary.LASTING_S", 0.5)  # these requests take a few seconds
    engine = connect(rig.settings.ledger.url)
    champion = made(rig, engine, step=releases.promote)
    canary = made(rig, engine, step=releases.try_out)
    with rig.student.doing(only(wrong or answering, canary)):
        # Which conversations are the canary's is drawn with a key of the ledger: of ten it may be none.
        wait_for(lambda: any(ask(rig, number)[0] == canary for number in range(50)))
        found = [ask(rig, number) for number in range(200)]  # all of them answered
        assert 30 <= sum(release == canary for release, _ in found) <= 90 and (champion, "student") in found
        ingest_once(engine, rig.settings.ledger.spool_dir)
        one = rig.settings.model_copy(update={"tasks": {TASK: rig.settings.tasks[TASK]}})
        worker = compose(one, engine, rig.config)
        worker.step()
        worker.close()
    ended = releases.get(engine, canary)
    assert (ended.status, releases.champions(engine)[TASK].name) == (
        ("rolled_back", champion) if wrong else ("champion", canary)
    ), ended.refusal
    wait_for(lambda: {ask(rig, number)[0] for number in range(20)} == {champion if wrong else canary})
    engine.dispose()
