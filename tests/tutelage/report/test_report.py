"""The page over a small ledger: its numbers are those of the ledger, and it needs nothing but itself."""

import re
from dataclasses import replace

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from calibration.certificate import Certificate
from calibration.question import Judge
from ledger import verdicts
from ledger.database import connect
from ledger.ingest import ingest_once
from ledger.queries import Use, record_uses
from ledger.records import TeacherReply, Usage
from ledger.releases import ReleaseError, add_candidate, promote, void
from ledger.schema import releases
from ledger.spool import SpoolWriter
from router.settings import ConfigError, Settings
from tests.ledger.make import CERTIFICATE, certified, exchange, student_exchange
from tutelage.cli import app
from tutelage.report.facts import NothingToReport, gather
from tutelage.report.figures import _contract
from tutelage.report.page import wording, write

NAME = "desk--v000001"
SETTINGS = Settings(
    student={"base_model": "m", "price": {"input_usd_per_mtok": 0.02, "output_usd_per_mtok": 0.05}},
    teachers={"big": {"model": "openai/big", "api_key_env": "KEY"}},
    tasks={"desk": {"teacher": "big", "alpha": 0.1, "rho": 0.5, "alarm_references": 1000.0}},
)


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def record(engine, folder, records):
    spool = SpoolWriter(folder)
    for each in records:
        spool.append(each)
    spool.close()
    ingest_once(engine, folder)


def release(engine, tmp_path, **certificate):
    """Certified on forty rows, two of which disagree, at a score of one half."""
    record(engine, tmp_path / "spool", map(exchange, range(1, 41)))
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="m", now=1.0).name
    uses = [
        Use(f"id-{number:06d}", "certify", "refund", score=0.5 + number / 100, disagreement=float(number < 3))
        for number in range(1, 41)
    ]
    record_uses(engine, release=name, uses=uses)
    promote(engine, name, values=certified(bound_to=SETTINGS.binding("desk"), **certificate), now=2.0)
    return name


def serve(engine, tmp_path, answer, *, numbers):
    """The student says refund each time; references all, with the teacher's answer."""
    label = TeacherReply("big", answer, "stop", Usage(5, 1), 0.01, 0.1)
    made = (student_exchange(number, reference=True, teacher_reply=label) for number in numbers)
    record(engine, tmp_path / "spool", made)


def test_the_timeline_ends_with_the_last_reference_or_where_the_alarm_sounds(engine, tmp_path):
    release(engine, tmp_path)
    serve(engine, tmp_path, "refund", numbers=range(100, 130))
    last = gather(SETTINGS, engine, "desk").timeline[-1]
    assert (last.answers, last.agreement) == (30, pytest.approx(1.0)) and last.low < 1.0 and last.alarm < 1.0
    serve(engine, tmp_path, "invoice", numbers=range(200, 230))
    found = gather(SETTINGS, engine, "desk").timeline
    assert found[-1].alarm >= 1.0 and 30 < found[-1].answers < 60
    assert all(moment.alarm < 1.0 for moment in found[:-1])


def test_the_page_holds_its_figures_and_every_release_and_asks_nobody(engine, tmp_path):
    release(engine, tmp_path)
    serve(engine, tmp_path, "refund", numbers=range(100, 130))
    page = write(gather(SETTINGS, engine, "desk"), tmp_path / "out")
    text = page.read_text()
    assert text.count("<svg") == 4 and NAME in text
    outside = re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"|url\((?!#)[^)]*\)|<script", text)
    assert outside == []
    names = ("reliability", "risk-coverage", "cost-quality", "references")
    assert sorted(file.name for file in page.parent.glob("*.png")) == sorted(f"{name}.png" for name in names)
    assert (page.parent / "references.svg").read_text().startswith("<svg")


def test_a_page_that_cannot_be_written_is_told(engine, tmp_path):
    release(engine, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/out cannot be written .* --out"):
        write(gather(SETTINGS, engine, "desk"), tmp_path / "file/out")


def test_what_the_teacher_said_when_it_was_asked_again_is_on_the_page(engine, tmp_path):
    release(engine, tmp_path)
    found = gather(SETTINGS, engine, "desk")
    assert "suspected" not in write(found, tmp_path / "without").read_text()
    report = {**found.release.report, "again": {"words": "asked again about 3 of 4 suspected rows for $0.010"}}
    told = replace(found, release=replace(found.release, report=report))
    assert "asked again about 3 of 4 suspected rows for $0.010." in write(told, tmp_path / "with").read_text()


def test_a_release_that_has_answered_nothing_is_reported_without_a_timeline(engine, tmp_path):
    release(engine, tmp_path)
    facts = gather(SETTINGS, engine, "desk")
    assert facts.timeline == () and len(facts.window) == 40
    assert write(facts, tmp_path / "out").read_text().count("<svg") == 3


def test_the_wording_says_what_is_certified_and_what_is_not(engine, tmp_path):
    release(engine, tmp_path)
    words = " ".join(wording(gather(SETTINGS, engine, "desk")))
    assert "passed a test that at most 4% of releases whose true disagreement" in words
    assert "exceeds 10% would pass" in words and "openai/big" in words
    assert "not each answer, slice or user, not correctness, not later traffic" in words
    assert "at most m / B. B = 1,000 references, how many days that is cannot be told yet" in words
    assert not re.search(r"guarantee|of answers agree", words)


def test_a_judged_release_says_who_judged_it_and_how_far_that_goes(engine, tmp_path):
    judge = Judge("referee", "openai/referee", "amounts")
    bound = {**SETTINGS.binding("desk"), "measure": "judge", **judge.binding, "judge_labels": "180"}
    record(engine, tmp_path / "spool", map(exchange, range(1, 41)))
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="m", now=1.0).name
    uses = [Use(f"id-{n:06d}", "certify", "refund", score=0.5 + n / 100, disagreement=0.0) for n in range(1, 41)]
    record_uses(engine, release=name, uses=uses)
    promote(engine, name, values=certified(bound_to=bound, level=0.12), now=2.0)
    serve(engine, tmp_path, "a refund", numbers=range(100, 110))
    assert gather(SETTINGS, engine, "desk").timeline == ()  # no verdict has come
    verdicts.add(engine, judge.fingerprint, {f"id-{n:06d}": n == 103 for n in range(100, 108)}, now=3.0)
    facts = gather(SETTINGS, engine, "desk")
    assert facts.timeline[-1].answers == 8 and facts.timeline[-1].agreement < 1.0
    words = " ".join(wording(facts))
    assert "judged by openai/referee, asked about each pair of answers both ways round" in words
    assert "checked against 180 labelled pairs" in words and "a share of 12% that it calls different" in words
    assert "While what the judge calls different stays at most 12%" in words and "5 were called different" in words
    assert "two answers agreeing where people would say that they say the same" in words
    assert write(facts, tmp_path / "out").read_text().count("<svg") == 4


def test_what_came_from_outside_is_escaped(engine, tmp_path):
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="m", now=1.0).name
    promote(engine, name, values=certified(bound_to={"teacher": "<script>x</script>"}), now=2.0)
    assert "<script>" not in write(gather(SETTINGS, engine, "desk"), tmp_path / "out").read_text()


def test_without_a_certificate_there_is_nothing_to_report(engine, tmp_path):
    with pytest.raises(ReleaseError, match="no release of desk has been certified yet"):
        gather(SETTINGS, engine, "desk")
    with pytest.raises(NothingToReport, match=r"desk--v000009 has no certificate \(unknown\); with one: none"):
        gather(SETTINGS, engine, "desk", release="desk--v000009")
    name = add_candidate(engine, task="desk", cut_at=0.0, base_model="m", now=1.0).name
    promote(engine, name, values={**certified(), "certificate": {"alpha": 0.1}}, now=2.0)
    with pytest.raises(NothingToReport, match="cannot be read"):
        gather(SETTINGS, engine, "desk")


def test_what_would_pass_before_the_alarm_and_b_in_days_are_on_the_page(engine, tmp_path):
    release(engine, tmp_path)
    day = 86_400.0
    label = TeacherReply("big", "refund", "stop", Usage(5, 1), 0.01, 0.1)
    made = (student_exchange(n, at=n * day / 10, reference=True, teacher_reply=label) for n in range(100, 201))
    record(engine, tmp_path / "spool", made)
    words = " ".join(wording(gather(SETTINGS, engine, "desk")))
    assert "B = 1,000 references, some 99 days at the pace so far." in words  # 101 in ten days
    found = re.search(
        r"If it rises to 20% at once, .* some (\d+) student-answered requests, (\d+) of them wrong", words
    )
    answers, wrong = map(int, found.groups())
    assert answers > 0 and wrong == pytest.approx(0.1 * answers, abs=1)


def test_a_sound_release_has_no_warning(engine, tmp_path):
    release(engine, tmp_path)
    facts = gather(SETTINGS, engine, "desk")
    assert not list(facts.warnings) and 'class="warning"' not in write(facts, tmp_path / "out").read_text()


def test_an_altered_certificate_is_told_before_anything_else_on_page_and_console(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["init", "--task", "desk", "--base-model", "org/model"])
    monkeypatch.setattr("ledger.database.connect", lambda url: engine)
    name = release(engine, tmp_path)
    with engine.begin() as connection:
        connection.execute(sa.update(releases).values(certificate={**CERTIFICATE, "threshold": 0.4}))
    text = write(gather(SETTINGS, engine, "desk"), tmp_path / "out").read_text()
    words = f"{name} is not what was certified: its fingerprint differs"
    assert words in text and text.index(words) < text.index("What is certified")
    said = CliRunner().invoke(app, ["report", "desk"])
    assert said.exit_code == 0 and f"WARNING: {words}" in " ".join(said.output.split())


def test_a_voided_release_is_reported_with_its_reason_first(engine, tmp_path):
    void(engine, release(engine, tmp_path), reason="alarm: much differs", now=9.0)
    (warning,) = gather(SETTINGS, engine, "desk").warnings
    assert "has been voided, and its certificate holds no more: alarm: much differs" in warning
    assert write(gather(SETTINGS, engine, "desk"), tmp_path / "out").read_text().index(warning) < 4000


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"alpha": 0.025}, "contract: 2.5%"), ({"alpha": 0.005, "level": 0.0045}, "as judged: 0.45% (0.5%)")],
)
def test_the_line_of_the_contract_says_it_as_it_was_made(changes, words):
    assert _contract(Certificate.from_dict({**CERTIFICATE, **changes})) == words
