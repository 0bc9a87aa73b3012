"""What is forgotten is gone, ends what has learned from it, and counts for nothing any more."""

import pytest
import sqlalchemy as sa

from calibration.familiar import Familiar
from calibration.question import Judge, Pair, question
from ledger import familiar, keys, verdicts
from ledger.database import connect
from ledger.decisions import latest
from ledger.forgetting import Meant, NothingToForget, expire, find, forget, instead
from ledger.ingest import store
from ledger.keys import Grant
from ledger.queries import Use, answers_since, fresh_since, record_uses, spend, task_rows
from ledger.records import Feedback, Label, TeacherReply, Usage
from ledger.releases import (
    ReleaseError,
    add_candidate,
    get,
    hold,
    newest_certified,
    promote,
    reinstate,
    rollback,
    served,
    set_adapter,
    take_up,
    try_out,
    void,
)
from ledger.schema import exchanges, metadata
from ledger.schema import familiar as table
from ledger.standing import standing
from tests.ledger.make import certified, exchange, student_exchange

SECRET = "my card is 4929 0000 1111"


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def told(number, **fields):
    """An exchange that holds the secret everywhere it could."""
    asked = {"messages": [{"role": "user", "content": [{"type": "text", "text": SECRET}]}], "params": {"user": SECRET}}
    tokens = [[(SECRET, -0.1), ([255, 1], -2.0)], [(" label", -0.5), (SECRET, -1.0)]]
    thought = {"rationale": f"{SECRET}, so label", "logprobs": tokens}
    reply = TeacherReply("big", f"{SECRET} label", "stop", Usage(10, 1), 0.01, **thought)
    return exchange(number, **{**asked, "teacher_reply": reply, "answer": f"{SECRET} label", **fields})


def release(engine, *, learned=(), digest=None, status="champion", cut_at=50.0):
    made = add_candidate(engine, task="desk", cut_at=cut_at, base_model="base", now=60.0)
    set_adapter(engine, made.name, path=f"/adapters/{made.name}", digest=digest or made.name)
    record_uses(engine, release=made.name, uses=[Use(each, "train", SECRET) for each in learned])
    step = {"champion": promote, "ready": hold, "canary": try_out}[status]
    step(engine, made.name, values=certified(), now=max(70.0, cut_at))
    return made.name


def look(engine, meant, *, due=1e9):
    return find(engine, meant, due=due)


def run(engine, **meant):
    asked = Meant(**meant)
    forget(engine, look(engine, asked), meant=asked, now=100.0)


def test_its_texts_are_gone_from_the_file(engine, tmp_path):
    store(engine, [told(1), student_exchange(2), exchange(3)])
    run(engine, exchanges=("id-000001",))
    assert SECRET.encode() not in files(engine, tmp_path) and b"message 3" in files(engine, tmp_path)


@pytest.mark.parametrize("origin", ["curate", "recertify"])
def test_what_was_asked_again_on_our_own_account_goes_with_it(engine, tmp_path, origin):
    ours = {"origin": origin, "params": {}, "key": None, "reference": False, "eligible": False}
    store(engine, [told(1), told(2, **ours), exchange(3, **ours)])
    found = look(engine, Meant(exchanges=("id-000001",)))
    assert found.all_ids == ["id-000001", "id-000002"]
    run(engine, exchanges=("id-000001",))
    assert SECRET.encode() not in files(engine, tmp_path) and b"message 3" in files(engine, tmp_path)


OURS = {"params": {}, "key": None, "reference": False, "eligible": False}


def test_what_we_have_asked_a_judge_in_its_words_goes_with_it(engine, tmp_path):
    asked = question(Judge("referee", "m", ""), Pair(SECRET, "a", "b"), swapped=True)
    store(engine, [told(1), exchange(2, origin="judge", messages=asked, **OURS), exchange(3)])
    assert look(engine, Meant(exchanges=("id-000001",))).all_ids == ["id-000001", "id-000002"]
    run(engine, exchanges=("id-000001",))
    assert SECRET.encode() not in files(engine, tmp_path) and b"message 3" in files(engine, tmp_path)


def test_a_part_without_text_keeps_nobody_from_forgetting(engine, tmp_path):
    odd = [{"role": "user", "content": [{"type": "text"}, {"type": "text", "text": SECRET}]}]
    store(engine, [told(1, messages=odd), exchange(2)])
    run(engine, exchanges=("id-000001",))
    assert SECRET.encode() not in files(engine, tmp_path)


def test_who_is_forgotten_is_not_kept_as_the_reason(engine, tmp_path):
    store(engine, [told(1), exchange(2)])
    release(engine, learned=["id-000001"])
    run(engine, users=(SECRET,))
    assert SECRET.encode() not in files(engine, tmp_path)
    assert "1 users" in latest(engine, "desk")[0].reason


def test_what_is_said_or_arrives_afterwards_is_not_kept(engine, tmp_path):
    store(engine, [told(1, teacher_reply=None, reference=False), exchange(2)])
    run(engine, exchanges=("id-000001",))
    late = Label(exchange_id="id-000001", at=200.0, reply=TeacherReply("big", SECRET, "stop", Usage(10, 1), 0.01))
    said = Feedback(exchange_id="id-000001", at=201.0, good=False, correction=SECRET)
    store(engine, [late, said, Feedback(exchange_id="id-000002", at=202.0, good=False, correction="kept")])
    kept = files(engine, tmp_path)
    assert SECRET.encode() not in kept and b"kept" in kept


def test_what_is_old_expires_oldest_first_and_ends_no_release(engine, tmp_path):
    store(engine, [told(1), told(2), told(3), exchange(9)])
    name = release(engine, learned=["id-000001"])
    assert [expire(engine, before=9.0, most=2) for _ in range(3)] == [2, 1, 0]
    assert get(engine, name).status == "champion"
    assert spend(engine, "desk").requests == 4  # what it has cost stays
    assert SECRET.encode() not in files(engine, tmp_path) and b"message 9" in files(engine, tmp_path)


def files(engine, tmp_path):
    """All that the ledger's file holds; of a database without a file, all that its tables do."""
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            return repr([connection.execute(table.select()).all() for table in metadata.sorted_tables]).encode()
    engine.dispose()
    return b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))


def test_what_waits_for_its_label_is_forgotten_when_that_is_there(engine):
    store(engine, [told(2, teacher_reply=None), told(3), exchange(4)])
    found = look(engine, Meant(users=(SECRET,)), due=2.0)
    assert (found.ids, found.waiting) == ({"desk": ["id-000003"]}, 1)
    assert look(engine, Meant(users=(SECRET,)), due=2.5).waiting == 0  # lost


def test_a_candidate_that_got_no_adapter_is_none_to_delete(engine):
    store(engine, [told(1)])
    made = add_candidate(engine, task="desk", cut_at=50.0, base_model="base", now=60.0)
    record_uses(engine, release=made.name, uses=[Use("id-000001", "train")])
    assert look(engine, Meant(exchanges=("id-000001",))).releases == []


def test_what_money_is_counted_from_stays(engine):
    store(engine, [told(1), exchange(2)])
    before = spend(engine, "desk")
    run(engine, exchanges=("id-000001",))
    assert spend(engine, "desk") == before


def test_it_teaches_certifies_and_is_heard_nowhere(engine):
    rows = [told(2), told(4, **_answered()), *(exchange(n) for n in range(6, 12))]
    store(engine, [*rows, Label(exchange_id="id-000004", at=5.0, reply=TeacherReply("big", SECRET))])
    asked = {"teacher": "big", "window_share": 0.5}
    before = standing(engine, "desk", **asked)
    run(engine, exchanges=("id-000002", "id-000004"))
    assert [row.exchange_id for row in task_rows(engine, "desk") if row.eligible][:1] == ["id-000006"]
    assert answers_since(engine, "desk--v000001") == []
    assert standing(engine, "desk", **asked).new_rows == before.new_rows - 2


def _answered():
    found = student_exchange(4, rho=0.5, reference=True)
    return {name: getattr(found, name) for name in ("route", "reason", "draft", "score", "release", "teacher_reply")}


def test_the_champion_that_learned_from_it_ends_and_none_with_its_adapter_comes_back(engine):
    store(engine, [told(1), exchange(2)])
    first = release(engine, learned=["id-000001"], digest="a")
    again = release(engine, digest="a")  # the same adapter, certified anew
    waits = release(engine, digest="a", status="ready")
    found = look(engine, Meant(exchanges=("id-000001",)))
    assert [each.name for each in found.releases] == [first, again, waits]
    run(engine, exchanges=("id-000001",))
    assert [get(engine, each).status for each in (first, again, waits)] == ["retired", "forgotten", "retired"]
    assert all("id-000001" in get(engine, each).refusal["reason"] for each in (again, waits))
    assert all(get(engine, each).gone for each in (first, again, waits))
    with pytest.raises(ReleaseError):
        newest_certified(engine, "desk")
    (told_of,) = latest(engine, "desk")
    assert (told_of.action, told_of.release) == ("forget", again)
    assert told_of.reason.endswith(f"retired: {again}, in force: none, the teacher answers")


def test_what_taught_those_that_learned_from_it_is_gone_too(engine):
    store(engine, [told(1), exchange(2)])
    learned, other = release(engine, learned=["id-000001"]), release(engine, learned=["id-000002"])
    for name in (learned, other):
        familiar.keep(engine, name, Familiar.with_all_of([SECRET], seed=0))
    run(engine, exchanges=("id-000001",))
    with engine.connect() as connection:
        assert list(connection.execute(sa.select(table.c.release)).scalars()) == [other]


def test_one_that_has_not_learned_from_it_stays_in_force_and_cannot_be_rolled_back_to_one_that_has(engine):
    store(engine, [told(1), exchange(2)])
    learned, other = release(engine, learned=["id-000001"]), release(engine, learned=["id-000002"])
    run(engine, exchanges=("id-000001",))
    assert (get(engine, learned).status, get(engine, other).status) == ("retired", "champion")
    assert rollback(engine, "desk", binding={}, now=200.0) is None


def after_forgetting_its_first(engine, *, bindings=None, meanwhile=lambda: None):
    """What serves then: the champion has learned from the first exchange, and nothing before it has."""
    asked = Meant(exchanges=("id-000001",))
    found = look(engine, asked)
    meanwhile()
    forget(engine, found, meant=asked, now=100.0, bindings=bindings)
    return {each.task: each.name for each in served(engine)}


def test_the_one_before_serves_again_where_a_rollback_would_go_to_it(engine):
    store(engine, [told(1), exchange(2)])
    before, champion = release(engine, learned=["id-000002"]), release(engine, learned=["id-000001"])
    ends = look(engine, Meant(exchanges=("id-000001",))).releases
    assert instead(engine, ends, bindings={"desk": {}}, now=100.0)["desk"].name == before
    assert after_forgetting_its_first(engine, bindings={"desk": {}}) == {"desk": before}
    assert (get(engine, champion).status, get(engine, before).changed_at) == ("forgotten", 100.0)
    assert latest(engine, "desk")[0].reason.endswith(f"retired: {champion}, in force: {before}")


@pytest.mark.parametrize("bindings", [{}, {"desk": {"engine": "2"}}, {"another": {}}])
def test_nothing_serves_again_that_is_not_known_to_hold(engine, bindings):
    store(engine, [told(1), exchange(2)])
    before, _ = release(engine, learned=["id-000002"]), release(engine, learned=["id-000001"])
    ends = look(engine, Meant(exchanges=("id-000001",))).releases
    assert instead(engine, ends, bindings=bindings, now=100.0) == {}
    assert after_forgetting_its_first(engine, bindings=bindings) == {}
    assert reinstate(engine, before, binding={}, now=101.0).status == "champion"  # by a person, who knows


def test_nothing_serves_again_from_before_an_alarm(engine):
    store(engine, [told(1), exchange(2)])
    for _ in range(2):
        last = release(engine)
    void(engine, last, reason="alarm", now=80.0)
    release(engine, learned=["id-000001"], cut_at=90.0)
    assert after_forgetting_its_first(engine, bindings={"desk": {}}) == {}


def test_one_that_the_alarm_voids_meanwhile_stays_voided(engine):
    store(engine, [told(1), exchange(2)])
    before, champion = release(engine, learned=["id-000002"]), release(engine, learned=["id-000001"])
    sound = lambda: void(engine, champion, reason="alarm", now=99.0)  # noqa: E731
    assert after_forgetting_its_first(engine, bindings={"desk": {}}, meanwhile=sound) == {}
    assert (get(engine, champion).status, bool(get(engine, champion).gone)) == ("voided", True)
    assert get(engine, before).status == "retired"


def test_of_the_traffic_before_nothing_is_said(engine):
    store(engine, [told(1), *map(exchange, range(2, 102))])  # 1 % and no more is forgotten
    release(engine, learned=["id-000001"])
    waits = release(engine, status="ready")
    before = _fresh_since(engine)
    assert after_forgetting_its_first(engine) == {}
    assert _fresh_since(engine) == before
    assert take_up(engine, "desk", binding={}, now=101.0).name == waits


def _fresh_since(engine):
    with engine.connect() as connection:
        return fresh_since(connection, "desk")


def test_a_clean_canary_goes_on_and_its_trial_begins_anew_beside_what_serves_now(engine):
    store(engine, [told(1), exchange(2)])
    before, _ = release(engine, learned=["id-000002"]), release(engine, learned=["id-000001"])
    canary = release(engine, status="canary")
    after_forgetting_its_first(engine, bindings={"desk": {}})
    assert {each.status: each.name for each in served(engine)} == {"champion": before, "canary": canary}
    assert get(engine, canary).changed_at == 100.0


def test_a_canary_that_learned_from_it_ends_alone(engine):
    store(engine, [told(1), exchange(2)])
    champion, canary = release(engine), release(engine, learned=["id-000001"], status="canary")
    assert after_forgetting_its_first(engine, bindings={"desk": {}}) == {"desk": champion}
    assert (get(engine, canary).status, get(engine, champion).changed_at) == ("forgotten", 70.0)


def test_a_line_of_keys_and_a_user_are_forgotten_with_all_that_they_asked(engine):
    first, _ = keys.create(engine, Grant("web"), now=1.0)
    second, _ = keys.rotate(engine, first.id, now=2.0, grace_s=1.0)
    by_key = [told(1, key=first.id), told(2, key=second.id, task=None), exchange(3, key="key-0")]
    store(engine, [*by_key, told(4, params={"safety_identifier": "u1"}), told(5, params={"user": "u2"})])
    found = look(engine, Meant(keys=(second.id,), users=("u1",), exchanges=("id-000001",)))
    assert found.ids == {"desk": ["id-000001", "id-000004"], None: ["id-000002"]}


def test_pairs_that_people_have_labelled_are_forgotten_with_their_exchange(engine):
    store(engine, [told(1, **_answered(), task="desk"), exchange(2)])
    store(engine, [Label(exchange_id="id-000001", at=5.0, reply=TeacherReply("big", "label"))])
    label = lambda prompt: verdicts.JudgedLabel(verdicts.Pair(prompt, "refund", "label"), same=True, flagged=False)  # noqa: E731
    verdicts.label(engine, "desk", judge="j", labels=[label(SECRET), label("another")], now=1.0)
    run(engine, exchanges=("id-000001",))
    assert verdicts.labelled(engine, "desk", judge="j").same == 1


@pytest.mark.parametrize("meant", [{"exchanges": ("id-000009",)}, {"keys": ("key-9",)}, {"users": ("nobody",)}])
def test_what_is_not_recorded_is_refused_by_name_and_changes_nothing(engine, meant):
    store(engine, [told(1)])
    with pytest.raises(NothingToForget, match=next(iter(meant.values()))[0]):
        look(engine, Meant(**meant))


def test_what_is_forgotten_already_is_not_forgotten_again(engine):
    store(engine, [told(1), told(2)])
    run(engine, exchanges=("id-000001",))
    with pytest.raises(NothingToForget, match="or left"):
        look(engine, Meant(exchanges=("id-000001",)))
    assert look(engine, Meant(users=(SECRET,))).ids == {"desk": ["id-000002"]}


def test_thousands_at_once(engine):
    store(engine, [told(n) for n in range(1200)])
    run(engine, users=(SECRET,))
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).where(exchanges.c.eligible)).scalar() == 0
