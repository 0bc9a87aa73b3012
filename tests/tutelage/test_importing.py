import json
from dataclasses import replace

import pytest
import sqlalchemy as sa
import yaml
from typer.testing import CliRunner

from ledger import teachers
from ledger.database import LedgerError, connect
from ledger.queries import spend, task_rows
from ledger.redaction import Redactor
from ledger.schema import teacher_replies
from router.settings import ConfigError, load
from tutelage.cli import app
from tutelage.importing import carry, source
from tutelage.logfile import LogRefused

NOW = 2_000_000_000.0
CONFIG = {
    "teachers": {"gpt-4o": {"model": "openai/gpt-4o"}},
    "student": {"base_model": "b", "price": {"input_usd_per_mtok": 0.0, "output_usd_per_mtok": 0.0}},
    "tasks": {"desk": {"teacher": "gpt-4o"}},
}


def line(number, **fields):
    messages = [{"role": "user", "content": f"message {number}"}, {"role": "assistant", "content": "refund"}]
    return json.dumps({"messages": messages, "model": "gpt-4o", **fields})


@pytest.fixture
def bring(tmp_path):
    """Import these lines; returns the tally and the ledger."""
    (tmp_path / "tutelage.yaml").write_text(yaml.safe_dump(CONFIG))
    settings = load(tmp_path / "tutelage.yaml")
    engine = connect(settings.ledger.url.replace("tutelage-data/", ""))

    def bring(lines, *, by_teacher=False, skip_broken=False, system_prompt=None, redactor=None, now=NOW):
        path = tmp_path / "log.jsonl"
        path.write_text("\n".join(lines))
        found = source(settings, path, task="desk", by_teacher=by_teacher, now=now)
        found = replace(found, system_prompt=system_prompt)
        done = carry(found, engine, skip_broken=skip_broken, progress=lambda *_: None, redactor=redactor)
        return done, engine

    return bring


def test_a_log_becomes_rows_in_its_order_and_costs_nothing_of_ours(bring):
    tally, engine = bring([line(n) for n in range(1200)])
    rows = task_rows(engine, "desk")
    assert (tally.lines, tally.stored, len(rows)) == (1200, 1200, 1200)
    assert [row.messages[0]["content"] for row in rows] == [f"message {n}" for n in range(1200)]
    assert rows[-1].at <= NOW and all(row.reference and row.rho == 1.0 for row in rows)
    assert spend(engine, "desk").requests == 0


def counted(engine):
    """How many rows are answers of the task's teacher of now."""
    with engine.connect() as connection:
        said = teachers.answers(connection, "desk", teacher="gpt-4o")
    return sum(said.hold(row.answered_at, row.teacher) for row in task_rows(engine, "desk"))


def test_what_is_imported_counts_for_the_teachers_model_of_now_whenever_it_answered(bring):
    lines = [line(n, created=1_600_000_000 + n) for n in range(5)]
    _, engine = bring(lines[:3], now=NOW - 200)
    teachers.note(engine, "desk", model="openai/gpt-4o-2024-08-06", now=NOW - 100)  # the first one that is known
    assert counted(engine) == 3
    teachers.note(engine, "desk", model="openai/gpt-4o", now=NOW - 50)
    assert counted(engine) == 0
    tally, _ = bring(lines)
    assert (tally.stored, counted(engine)) == (2, 5)  # those that were there before as well
    assert [row.at for row in task_rows(engine, "desk")] == [1_600_000_000.0 + n for n in range(5)]


def test_imported_again_for_a_teacher_of_another_name_they_are_its(bring):
    _, engine = bring([line(1), line(2)])
    with engine.begin() as connection:  # as it was imported under another name
        connection.execute(teacher_replies.update().values(teacher="former"))
    assert counted(engine) == 0
    bring([line(1), line(2)])
    assert counted(engine) == 2


def test_with_another_model_than_the_worker_has_seen_nothing_is_imported(bring):
    _, engine = bring([line(1)])
    teachers.note(engine, "desk", model="openai/gpt-4", now=1_700_000_000.0)
    with pytest.raises(ConfigError, match=r"gpt-4o is openai/gpt-4o in .*, and was openai/gpt-4 when .* then import"):
        bring([line(2)])
    assert len(task_rows(engine, "desk")) == 1


def asked(system, number):
    messages = [{"role": "user", "content": f"message {number}"}, {"role": "assistant", "content": "refund"}]
    return line(number, messages=[{"role": "system", "content": system}, *messages])


def test_a_log_of_several_jobs_is_told_apart_by_the_tasks_system_message(bring):
    lines = [asked("Name the topic.", 1), asked("Translate.", 2), line(3)]
    tally, _ = bring(lines, system_prompt="Name the topic.")
    assert tally.stored == 1 and tally.passed_over == {"another system message than the task's": 2}
    tally, _ = bring(lines)
    assert tally.stored == 2 and "WARNING: they have 3 different system messages" in "\n".join(tally.words())


def test_imported_twice_it_is_there_once(bring):
    lines = [line(n, id=f"r-{n}") for n in range(5)] + [line(7), line(7)]  # without ids, equal lines are two requests
    assert bring(lines)[0].stored == 7
    tally, engine = bring(lines)
    assert (tally.stored, tally.sound, len(task_rows(engine, "desk"))) == (0, 7, 7)


def test_a_repeated_id_is_one_row_and_a_contradiction_is_broken(bring):
    tally, _ = bring([line(1, id="r"), line(1, id="r"), line(2, id="s")])
    assert (tally.stored, tally.repeated) == (2, 1)
    with pytest.raises(LogRefused, match="line 2: the id 't' is line 1's"):
        bring([line(1, id="t"), line(2, id="t")])


def test_ids_that_are_a_files_own_swallow_no_other_files_rows(bring):
    assert bring([line(n, id=str(n)) for n in range(3)])[0].stored == 3
    again = [json.dumps(json.loads(line(n, id=str(n))), indent=None, separators=(",", ":")) for n in range(2)]
    tally, engine = bring([*again, line(7, id="2")])  # two as they were, written more tightly, and another third
    assert (tally.stored, tally.sound, len(task_rows(engine, "desk"))) == (1, 3, 4)


def test_a_broken_line_changes_nothing_unless_it_may_be_skipped(bring):
    lines = [line(1), "{", line(2, startTime=1, request_id=2)]
    with pytest.raises(LogRefused, match=r"2 of 3 lines cannot be used:\n  line 2: no JSON"):
        bring([line(1), "{", line(2, created=NOW + 3600)])
    tally, engine = bring([*lines[:2], line(3)], skip_broken=True)
    assert (tally.stored, [number for number, _ in tally.broken]) == (2, [2])
    assert len(task_rows(engine, "desk")) == 2


def test_another_models_answers_are_passed_over_unless_they_count_as_the_teachers(bring):
    lines = [line(1), line(2, model="gpt-3.5-turbo"), line(3, model=None)]
    tally, _ = bring(lines)
    assert (tally.stored, sum(tally.passed_over.values())) == (1, 2)
    assert any("answered by gpt-3.5-turbo, the task's teacher is gpt-4o" in reason for reason in tally.passed_over)
    assert bring(lines, by_teacher=True)[0].stored == 2


@pytest.mark.parametrize(("lines", "words"), [([], "no line at all"), ([line(1, model="m")], "1 x answered by m")])
def test_a_file_without_a_row_is_refused(bring, lines, words):
    with pytest.raises(LogRefused, match=words):
        bring(lines)


def test_a_ledger_that_stops_taking_rows_says_how_far_it_came(bring, monkeypatch):
    def full(*_, **__):
        raise sa.exc.OperationalError("insert", {}, Exception("database or disk is full"))

    monkeypatch.setattr("tutelage.importing.store_log", full)
    with pytest.raises(LedgerError, match=r"0 rows are stored.*disk is full.*no row is doubled"):
        bring([line(1)])


def test_the_command_says_what_it_did_and_ends_with_2_for_what_it_refuses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tutelage.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "log.jsonl").write_text(line(1))
    done = CliRunner().invoke(app, ["import", "log.jsonl", "--task", "desk"])
    assert done.exit_code == 0 and "1 lines: 1 rows are new" in done.output
    for arguments, words in (
        (["none.jsonl", "--task", "desk"], "no such file"),
        (["log.jsonl", "--task", "x"], "no task"),
    ):
        refused = CliRunner().invoke(app, ["import", *arguments])
        assert refused.exit_code == 2 and words in refused.output


def test_lines_without_a_time_are_older_than_the_traffic(bring):
    _, engine = bring([line(1, id="a", created=1000.0)])
    _, engine = bring([line(2), line(3)])
    assert [row.messages[0]["content"] for row in task_rows(engine, "desk")] == ["message 2", "message 3", "message 1"]


def test_a_log_is_redacted_as_live_requests_are(bring):
    messages = [{"role": "user", "content": "I am ann@shop.de"}, {"role": "assistant", "content": "hello ann@shop.de"}]
    _, engine = bring([line(1), line(2, messages=messages)], redactor=Redactor(["email"], key=b"key"))
    first, second = task_rows(engine, "desk")
    assert first.eligible and not (second.eligible or second.reference)
    assert "ann@" not in str(second) and "<email:" in second.teacher_text
