import time
from dataclasses import replace

import pytest

from calibration.references import draw
from distill.harvest import HarvestError, harvest, permit, with_rationales
from ledger import teachers
from ledger.database import connect
from ledger.forgetting import Meant, find, forget
from ledger.ingest import ingest_once, store, store_log
from ledger.queries import Use, record_uses, reference_key, rows_of
from ledger.records import Draft, Feedback, Label, TeacherReply, Usage
from ledger.releases import add_candidate, promote, set_adapter, void
from ledger.spool import SpoolWriter
from ledger.standing import standing
from ledger.studies import record_study
from tests.ledger.make import certified, exchange, student_exchange

LOST = TeacherReply("big", None, error="TeacherUnavailable")


@pytest.fixture
def ledger(tmp_path):
    """A ledger holding the given exchanges."""

    def make(*exchanges):
        spool = SpoolWriter(tmp_path / "spool")
        for each in exchanges:
            spool.append(each)
        spool.close()
        engine = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
        ingest_once(engine, tmp_path / "spool")
        return engine

    return make


def take(engine, **fields):
    asked = {"task": "desk", "teacher": "big", "window_share": 0.4, "max_rows": 1000, "max_references": 1000}
    return harvest(engine, **{**asked, "due": 1e9, **fields})


def ids(numbers):
    return [f"id-{number:06d}" for number in numbers]


def test_the_cut_divides_lessons_from_references(ledger):
    found = take(ledger(*map(exchange, range(10))))
    assert [row.exchange_id for row in found.older] == ids(range(6))
    assert [row.exchange_id for row in found.window] == ids([6, 8])  # even numbers are references
    assert (found.cut_at, found.window_span) == (6.0, (6.0, 9.0))
    assert found.older[0].completion == "label 0"


def test_where_all_are_asked_anew_it_does_not_matter_who_answered(ledger):
    engine = ledger(*map(exchange, range(10)))
    assert len(take(engine, teacher=None).older) == 6
    with pytest.raises(HarvestError, match="no eligible request"):
        take(engine, teacher="another")


def test_what_a_teacher_has_written_only_teaches_and_only_before_the_cut(ledger):
    written = [
        exchange(100 + n, at=at, origin="synthetic", reason="own", eligible=True, reference=True, rho=1.0)
        for n, at in enumerate([2.5, 3.5, 7.5])
    ]
    found = take(ledger(*map(exchange, range(10)), *written))
    assert [row.exchange_id for row in found.synthetic] == ids([100, 101])
    assert [row.exchange_id for row in found.older] == ids(range(6)) and found.cut_at == 6.0
    assert [row.exchange_id for row in found.window] == ids([6, 8])
    assert not any(row.reference for row in found.synthetic)


def test_what_is_written_takes_only_the_room_that_is_left_and_is_the_teachers(ledger):
    written = [exchange(100 + n, at=1.5, origin="synthetic", reason="own") for n in range(5)]
    others = [
        exchange(200, at=1.5, origin="synthetic", teacher_reply=LOST),
        exchange(201, at=1.5, origin="synthetic", teacher_reply=TeacherReply("another", "label", "stop")),
        exchange(202, at=1.5, origin="writer"),
    ]
    engine = ledger(*map(exchange, range(10)), *written, *others)
    assert len(take(engine, max_rows=8).synthetic) == 2
    assert len(take(engine).synthetic) == 5
    assert not take(engine, max_rows=4).synthetic


def test_what_the_student_may_not_answer_teaches_nothing(ledger):
    rows = [exchange(n, eligible=n != 2) for n in range(10)]
    assert ids([2])[0] not in [row.exchange_id for row in take(ledger(*rows)).older]


def test_a_lost_label_teaches_nothing_but_stays_in_the_window(ledger):
    found = take(
        ledger(*(exchange(n, teacher_reply=LOST if n in {1, 8} else exchange(n).teacher_reply) for n in range(10)))
    )
    assert ids([1])[0] not in [row.exchange_id for row in found.older]
    assert [(row.exchange_id, row.teacher_text) for row in found.window] == [
        (ids([6])[0], "label 6"),
        (ids([8])[0], None),
    ]


def test_the_window_ends_where_a_label_may_still_be_on_its_way(ledger):
    rows = [exchange(n, teacher_reply=None if n == 16 else exchange(n).teacher_reply) for n in range(20)]
    engine = ledger(*rows)
    assert [row.at for row in take(engine, due=16.0).window] == [12.0, 14.0]
    assert [(row.at, row.teacher_text is None) for row in take(engine, due=16.5).window][2:] == [
        (16.0, True),
        (18.0, False),
    ]


def test_the_next_window_is_fresh_and_what_certified_before_teaches(ledger):
    engine = ledger(*map(exchange, range(20)))
    release = add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=time.time())
    record_uses(engine, release=release.name, uses=[Use(ids([8])[0], "certify"), Use(ids([16])[0], "fit")])
    found = take(engine)
    assert [row.exchange_id for row in found.older] == ids(range(15))  # of 9..19 the newest 40 % are kept back
    assert [row.exchange_id for row in found.window] == ids([18])  # 16 has been used


def test_traffic_before_an_alarm_certifies_nothing_after_it(ledger):
    engine = ledger(*map(exchange, range(20)))
    release = add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=5.0)
    promote(engine, release.name, values=certified(), now=6.0)
    void(engine, release.name, reason="alarm", now=13.5)
    found = take(engine, window_share=0.999)
    assert [row.at for row in found.window] == [14.0, 16.0, 18.0]
    assert len(found.older) == 14


def under_a_champion(numbers, *, rho=0.05):
    return [exchange(n, rho=rho, reference=n % 20 == 0) for n in numbers]


def all_drawn(numbers):
    return [exchange(n, rho=1.0, reference=True) for n in numbers]


def test_the_window_begins_where_all_are_references_again_if_there_are_more_of_them(ledger):
    engine = ledger(*under_a_champion(range(200)), *all_drawn(range(200, 220)))
    found = take(engine)
    assert [row.exchange_id for row in found.window] == ids(range(200, 220))
    assert (found.cut_at, len(found.older)) == (200.0, 200)


def test_the_window_begins_as_usual_while_there_are_fewer_of_them(ledger):
    found = take(ledger(*under_a_champion(range(200)), *all_drawn(range(200, 203))))
    assert found.cut_at == 121.0 and len(found.window) >= 3  # of 82 requests at a rate of one in twenty


def forgotten(engine, *numbers):
    meant = Meant(exchanges=tuple(ids(numbers)))
    forget(engine, find(engine, meant, due=1e9), meant=meant, now=1e6)
    return engine


def test_what_is_forgotten_of_a_window_counts_as_lost(ledger):
    engine = ledger(*all_drawn(range(400)))
    assert take(engine).forgotten == 0
    found = take(forgotten(engine, 3, 300, 399))
    assert (len(found.window), found.forgotten) == (159, 1)  # 399 is behind the last row that is left
    assert not {*ids([3, 300, 399])} & {row.exchange_id for row in (*found.older, *found.window)}


def test_where_much_is_forgotten_the_window_begins_behind_it_and_the_rest_teaches(ledger):
    engine = forgotten(ledger(*all_drawn(range(400))), *range(300, 306))
    found = take(engine, window_share=0.999)
    assert (found.window[0].at, found.forgotten) == (306.0, 0)
    assert len(found.older) == 300


def test_of_what_is_forgotten_so_many_count_as_the_windows_rate_would_have_drawn(ledger):
    engine = ledger(*(exchange(n, rho=0.5, reference=True) for n in range(1000)))
    key = reference_key(engine)
    rows = range(700, 708)
    drawn = sum(draw(key, name, domain="reference") < 0.5 for name in ids(rows))
    assert take(forgotten(engine, *rows)).forgotten == drawn


def test_nothing_fresh_is_said(ledger):
    engine = ledger(*map(exchange, range(10)))
    release = add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=time.time())
    record_uses(engine, release=release.name, uses=[Use(ids([9])[0], "certify")])
    with pytest.raises(HarvestError, match="since its last certification, alarm or study"):
        take(engine)


def test_the_newest_rows_teach(ledger):
    assert [row.exchange_id for row in take(ledger(*map(exchange, range(10))), max_rows=2).older] == ids([4, 5])


def test_terms_are_asked_for():
    permit(teacher="big", may_train=True)
    with pytest.raises(HarvestError, match=r"teachers\.big\.may_train: true"):
        permit(teacher="big", may_train=False)


def test_nothing_recorded_is_said(ledger):
    with pytest.raises(HarvestError, match="no eligible request is recorded for the task 'desk'"):
        take(ledger())


def test_references_drawn_at_several_rates_count_as_drawn_at_the_lowest(ledger):
    imported = [exchange(n, origin="import", rho=1.0, reference=True) for n in range(400)]
    live = [exchange(n, rho=0.5) for n in range(400, 500)]
    window = take(ledger(*imported, *live), window_share=0.9).window
    assert [row.at for row in window if row.rho == 0.5] == [float(n) for n in range(400, 500, 2)]
    assert 130 < sum(row.rho == 1.0 for row in window) < 220  # 350 at one half


def test_of_many_references_those_certify_that_a_lower_rate_would_have_drawn(ledger):
    engine = ledger(*(exchange(n, rho=1.0, reference=True) for n in range(500)))
    few, more = (take(engine, max_references=most).window for most in (50, 100))
    assert [row.at for row in few] == sorted(row.at for row in few) and len(few) == 50
    assert {row.exchange_id for row in few} < {row.exchange_id for row in more}
    key = reference_key(engine)
    drawn = {row.exchange_id for row in few}
    draws = {row.exchange_id: draw(key, row.exchange_id, domain="reference") for row in take(engine).window}
    assert max(draws[id] for id in drawn) < min(draws[id] for id in draws.keys() - drawn)


def test_a_few_rows_of_a_lower_rate_thin_nobody_and_count_as_lost_where_they_have_no_label(ledger):
    imported = [exchange(n, origin="import", rho=1.0, reference=True) for n in range(397)]
    live = [exchange(n, rho=0.05, reference=False, teacher_reply=None) for n in range(397, 400)]
    window = take(ledger(*imported, *live), window_share=0.99).window
    assert len(window) == 396 and [row.teacher_text for row in window[-3:]] == [None] * 3


def test_an_imported_log_alone_certifies_with_all_its_rows(ledger):
    rows = [exchange(n, origin="import", rho=1.0, reference=True) for n in range(10)]
    assert [row.at for row in take(ledger(*rows)).window] == [6.0, 7.0, 8.0, 9.0]


def test_the_cut_never_moves_back_to_rows_that_curation_has_chosen_among(ledger):
    engine = ledger(*map(exchange, range(10)))
    add_candidate(engine, task="desk", cut_at=6.0, base_model="b", now=time.time())
    found = take(engine, window_share=0.9)
    assert found.cut_at == 6.0 and [row.at for row in found.window] == [6.0, 8.0]


def test_what_another_teacher_answered_neither_teaches_nor_certifies(ledger):
    former = TeacherReply("former", "label", "stop")
    found = take(ledger(*(exchange(n, teacher_reply=former) for n in range(10)), *map(exchange, range(10, 20))))
    assert [row.exchange_id for row in found.older] == ids(range(10, 16))


def test_what_another_model_said_under_the_teachers_name_does_not_teach_either(ledger):
    written = [exchange(100 + n, at=at, origin="synthetic", reason="own") for n, at in enumerate([2.5, 8.5])]
    engine = ledger(*map(exchange, range(20)), *written)
    teachers.note(engine, "desk", model="openai/big", now=0.0)
    assert len(take(engine).older) == 12 and len(take(engine).synthetic) == 2
    teachers.note(engine, "desk", model="open/bigger", now=7.5)
    found = take(engine)
    assert [row.exchange_id for row in found.older] == ids(range(8, 15)) and found.cut_at == 15.0
    assert [row.exchange_id for row in found.synthetic] == ids([101])
    assert standing(engine, "desk", teacher="big", window_share=0.4).rows == 8  # both sources, as a run takes them
    assert len(take(engine, teacher=None).older) == 15  # for these the teacher of now is asked
    teachers.note(engine, "desk", model="openai/big", now=9.5)  # it was taken back
    assert [row.exchange_id for row in take(engine).older] == ids([*range(8), *range(10, 16)])


def test_what_is_imported_counts_for_the_model_of_that_time_and_certifies_nothing_of_before(ledger):
    engine = ledger(*map(exchange, range(10)))
    teachers.note(engine, "desk", model="openai/big", now=0.0)
    teachers.note(engine, "desk", model="open/bigger", now=9.5)
    log = [exchange(100 + n, at=n + 0.5, origin="import") for n in range(5)]  # its answers, of before
    store_log(engine, log, teacher="big", at=9.7)
    store(engine, [exchange(200 + n, at=10.0 + n) for n in range(10)])
    found = take(engine)
    assert [row.exchange_id for row in found.older] == ids([*range(100, 105), *range(200, 206)])
    assert [row.exchange_id for row in found.window] == ids([206, 208])
    assert standing(engine, "desk", teacher="big", window_share=0.4).rows == len(found.older)


def test_what_is_forgotten_while_a_run_reads_teaches_nothing_and_counts_as_lost(ledger, monkeypatch):
    engine = ledger(*map(exchange, range(10)))
    chosen = ids([2, 6])

    def meanwhile(engine, exchange_ids):
        if meant := tuple(each for each in chosen if each in exchange_ids):
            forget(engine, find(engine, Meant(meant), due=1e9), meant=Meant(meant), now=20.0)
        return rows_of(engine, exchange_ids)

    monkeypatch.setattr("distill.harvest.rows_of", meanwhile)
    found = take(engine)
    assert [row.exchange_id for row in found.older] == ids([0, 1, 3, 4, 5])
    assert ([row.exchange_id for row in found.window], found.forgotten) == (ids([8]), 1)


def test_of_the_past_no_more_is_read_than_may_teach(ledger):
    """A rate of long ago says nothing of the rows that teach now."""
    long_ago = [exchange(n, rho=0.001, reference=n == 0) for n in range(30)]
    engine = ledger(*long_ago, *(exchange(n, rho=1.0, reference=True) for n in range(30, 50)))
    last = add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=time.time())
    record_uses(engine, release=last.name, uses=[Use(ids([39])[0], "certify")])  # what is fresh begins behind it
    assert sum(row.reference for row in take(engine, max_rows=1000).older) <= 1
    found = take(engine, max_rows=10)
    assert [row.exchange_id for row in found.older] == ids(range(36, 46))
    assert all(row.reference for row in found.older)


def test_what_the_teacher_answered_under_a_champion_stands_for_traffic_only_where_it_was_drawn(ledger):
    unsure = [exchange(n, reason="unsure", rho=0.05, reference=n % 20 == 0) for n in range(40, 140)]
    found = take(ledger(*(exchange(n, rho=1.0, reference=True) for n in range(40)), *unsure), window_share=0.1)
    fair = [row.exchange_id for row in found.older if row.reference]
    assert ids([40, 60, 80, 100, 120]) == [one for one in fair if one >= ids([40])[0]]
    assert len(fair) - 5 < 10 < 40  # of those before as many as that rate would have drawn
    assert len(found.older) == 126


def test_a_reference_that_the_student_has_answered_stands_for_the_others_that_it_has(ledger):
    answered = [student_exchange(n, rho=0.1, reference=n % 2 == 0) for n in range(4)]
    others = [exchange(n, rho=0.1 if n < 6 else 1.0, reference=n % 2 == 0) for n in range(4, 20)]
    engine = ledger(*answered, *others)
    for n in (0, 2):  # the teacher's answers come later; what it was not asked teaches nothing
        store(engine, [Label(exchange_id=ids([n])[0], at=3.0, reply=TeacherReply("big", "delivery", "stop"))])
    for most, expected in ((1.0, 1.0), (4.0, 4.0), (50.0, 10.0)):
        weights = {row.exchange_id: row.weight for row in take(engine, easy_weight=most).older}
        assert [weights[each] for each in ids([0, 2])] == [expected, expected]
        assert {weight for row, weight in weights.items() if row > ids([2])[0]} == {1.0}


def test_what_certified_a_release_teaches_the_next_one(ledger):
    engine = ledger(*map(exchange, range(20)))
    first = take(engine)
    release = add_candidate(engine, task="desk", cut_at=first.cut_at, base_model="b", now=time.time()).name
    window = [row.exchange_id for row in first.window]
    record_uses(engine, release=release, uses=[Use(row, "certify") for row in window])
    store(engine, [exchange(n) for n in range(20, 40)])
    then = take(engine)
    assert set(window) <= {row.exchange_id for row in then.older}
    assert not set(window) & {row.exchange_id for row in then.window}


def test_an_adapter_is_certified_on_nothing_that_it_was_studied_with(ledger):
    engine = ledger(*map(exchange, range(40)))
    release = add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=time.time()).name
    set_adapter(engine, release, path="/a", digest="abc")
    record_study(engine, release=release, rows=ids(range(30)))
    assert [row.at for row in take(engine, adapter_digest="abc").window] == [36.0, 38.0]  # of the ten that came after
    assert take(engine).window_span == (24.0, 39.0)  # another student has not been seen with them


def test_what_came_while_no_reference_was_drawn_teaches_and_stands_for_no_traffic(ledger):
    drawn = [exchange(n, rho=0.5) for n in range(100)]
    not_drawn = [exchange(n, rho=None, reference=False) for n in range(100, 140)]
    found = take(ledger(*drawn, *not_drawn), window_share=0.5)
    assert [row.at for row in found.window] == [float(n) for n in range(70, 100, 2)]
    older = take(ledger(), window_share=0.1).older
    assert len(older) == 126 and [row.exchange_id for row in older if row.reference] == ids(range(0, 100, 2))


def test_what_has_opted_out_teaches_nothing_and_is_measured_all_the_same(ledger):
    found = take(ledger(*(exchange(n, teaches=n not in (2, 3, 8)) for n in range(10))))
    assert [row.exchange_id for row in found.older] == ids([0, 1, 4, 5])
    assert [row.exchange_id for row in found.window] == ids([6, 8])


def said(number, **fields):
    return Feedback(exchange_id=f"id-{number:06d}", **{"at": 99.0, "good": False, **fields})


def test_what_people_say_goes_with_the_row(ledger):
    by_student = student_exchange(3, rho=0.5, reference=False)
    engine = ledger(*(exchange(n) for n in range(10) if n != 3), by_student)
    store(engine, [said(0, correction="refund"), said(1), said(2, good=True), said(3, correction="delivery")])
    found = {row.exchange_id: row for row in take(engine).older}
    assert found["id-000000"].completion == "label 0" and found["id-000000"].corrected.completion == "refund"
    assert [found[each].wrong for each in ids([0, 1, 2])] == [True, True, False]
    assert [found[each].vouched for each in ids([0, 1, 2])] == [False, False, True]
    assert [found[each].truth for each in ids([0, 1, 2])] == ["refund", None, "label 2"]
    alone = found["id-000003"]  # the teacher has not answered it, so it can teach and fit nothing
    assert (alone.completion, alone.corrected.completion, alone.reference) == ("", "delivery", False)


def test_a_draft_goes_with_the_row_where_it_is_whole(ledger):
    def drafted(number, finish_reason):
        return exchange(number, draft=Draft("refund", finish_reason, {"x": 1.0}, Usage(10, 2)))

    found = take(ledger(drafted(0, "stop"), drafted(1, "length"), drafted(2, None), *map(exchange, range(3, 10))))
    assert [row.draft for row in found.older] == ["refund", *5 * [None]]


def test_that_the_students_answer_was_wrong_says_nothing_of_the_teachers(ledger):
    served = student_exchange(2, rho=0.5, reference=True)
    engine = ledger(*(exchange(n) for n in range(10) if n != 2), served)
    store(engine, [said(2), Label(exchange_id="id-000002", at=3.0, reply=TeacherReply("big", "delivery", "stop"))])
    row = next(row for row in take(engine).older if row.exchange_id == "id-000002")
    assert not row.wrong and row.disowned == "refund"
    store(engine, [said(2, at=100.0, good=True)])
    row = next(row for row in take(engine).older if row.exchange_id == "id-000002")
    assert not row.vouched and (row.confirmed, row.disowned) == ("refund", None)


def test_what_the_teacher_thought_is_given_to_the_rows_whose_answers_it_leads_to(ledger):
    def thinking(n, why):
        return exchange(n, teacher_reply=TeacherReply("big", f"label {n}", "stop", rationale=why))

    said = Feedback(exchange_id="id-000002", at=50.0, good=False, correction="another label")
    redacted = thinking(3, "he is <email:0a1b>")
    engine = ledger(thinking(1, "one"), thinking(2, "two"), redacted, exchange(4), *map(exchange, range(5, 10)), said)
    rows = [row.corrected for row in take(engine).older]
    found = {row.exchange_id: row.rationale for row in with_rationales(engine, rows)}
    assert found == dict.fromkeys(ids(range(1, 6))) | {"id-000001": "one"}
    assert [replace(row, rationale=None) for row in with_rationales(engine, rows)] == rows
    righted = [replace(row, put_right=True) for row in rows]
    assert not any(row.rationale for row in with_rationales(engine, righted))


def test_again_it_is_cut_where_it_was_whatever_has_come_since(ledger):
    engine = ledger(*map(exchange, range(10)))
    first = take(engine)
    add_candidate(engine, task="desk", cut_at=first.cut_at, base_model="base", now=0.0)
    store(engine, list(map(exchange, range(10, 20))))
    again = take(engine, again=True)
    assert (again.cut_at, again.older) == (first.cut_at, first.older)
    assert [row.exchange_id for row in again.window] == ids(range(6, 20, 2))
    assert take(engine).cut_at == 12.0


def test_again_it_is_cut_anew_behind_what_has_certified_or_sounded_the_alarm(ledger):
    engine = ledger(*map(exchange, range(20)))
    name = add_candidate(engine, task="desk", cut_at=6.0, base_model="base", now=0.0).name
    record_uses(engine, release=name, uses=[Use("id-000008", "certify")])
    assert take(engine, again=True).cut_at == take(engine).cut_at > 8.0


def test_what_the_window_is_compared_with_is_as_thin_as_it(ledger):
    """Of as long a time before the cut: as many references, if all of the window's are drawn."""
    engine = ledger(*(exchange(n, rho=1.0, reference=True) for n in range(100)))
    texts = [row.variable_text for row in take(engine).older]
    whole = take(engine)
    assert (whole.part, whole.before) == (1.0, tuple(texts[-40:]))
    thin = take(engine, max_references=10)
    assert (thin.part, thin.before) == (0.25, tuple(texts[-40::4]))
    short = take(engine, window_share=0.8)  # there are not so many
    assert (short.part, short.before) == (1.0, tuple(row.variable_text for row in short.older)) and len(
        short.older
    ) < 25
    assert replace(thin, older=()).before == () and replace(thin, window=(), part=1.0).before == tuple(texts[-1:])
