"""A found task becomes one of the configuration, and its recorded requests what they would have been."""

import stat

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from calibration.references import REFERENCE_DOMAIN, draw
from distill.harvest import harvest
from ledger.database import connect
from ledger.ingest import store
from ledger.queries import reference_key
from ledger.records import TeacherReply
from ledger.releases import add_candidate
from ledger.schema import exchanges
from ledger.standing import standing
from ledger.teachers import note
from ledger.unclaimed import ClaimRefused
from router.settings import ConfigError, load
from tests.ledger.make import exchange
from tests.ledger.test_prompts import unmatched
from tests.tutelage.test_unmatched import CONFIG
from tutelage.adopting import add_to, take_over, take_over_all
from tutelage.watching import compose

SORT = "Sort the mail.\nAnswer with one word: a, b or c."
HEAD = """\
# Ours.
teachers: {big: {model: openai/big}}
student: {base_model: m, price: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.2}}
"""
VALUES = {"teacher": "big", "measure": "exact", "max_tokens": 64, "system_prompt": SORT}


def adopted(tmp_path, text=CONFIG, values=VALUES):
    path = tmp_path / "tutelage.yaml"
    path.write_text(text)
    add_to(path, "mail", values)
    return path


@pytest.mark.parametrize(
    "tasks",
    [
        "",
        "tasks:\n",
        "tasks:  # by name\n    # the first\n    desk:\n        teacher: big  # the large one\n# the end\n",
        "tasks:\n  desk: {teacher: big}\ndistill: {rank: 8}\n",
        "tasks:\n  desk: {teacher: big}",
    ],
)
def test_a_task_is_put_into_the_file_and_nothing_else_changes(tmp_path, tasks):
    path = adopted(tmp_path, HEAD + tasks)
    made = load(path)
    assert made.tasks["mail"].model_dump(include=set(VALUES)) == VALUES
    assert set(made.tasks) == {"mail", *(["desk"] if "desk" in tasks else [])}
    lines = path.read_text().splitlines()
    kept = [line for line in (HEAD + tasks).splitlines() if line]
    assert [line for line in lines if line in kept] == kept
    assert "      Answer with one word: a, b or c.\n" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


@rules(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_whatever_a_system_message_holds_it_is_kept_to_the_letter_or_refused(tmp_path, prompt):
    try:
        path = adopted(tmp_path, values={**VALUES, "system_prompt": prompt})
    except ConfigError as error:
        assert "put this under" in str(error)
        assert (tmp_path / "tutelage.yaml").read_text() == CONFIG
    else:
        assert load(path).tasks["mail"].system_prompt == prompt


def test_what_would_not_be_valid_leaves_the_file_as_it_was(tmp_path):
    for values, words in (({**VALUES, "measure": "nearly"}, "tasks.mail.measure"), ({**VALUES, "alpha": 2.0}, "alpha")):
        with pytest.raises(ConfigError, match=words):
            adopted(tmp_path, values=values)
        assert (tmp_path / "tutelage.yaml").read_text() == CONFIG
    with pytest.raises(ConfigError, match="in braces"):
        adopted(tmp_path, HEAD + "tasks: {desk: {teacher: big}}\n")


def test_the_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "tutelage.yaml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    add_to(path, "mail", VALUES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.fixture
def settings(tmp_path):
    return load(adopted(tmp_path))


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def recorded(engine):
    names = ("task", "reason", "eligible", "reference", "rho")
    query = sa.select(*(exchanges.c[name] for name in ("id", *names)))
    with engine.connect() as connection:
        return {id: tuple(rest) for id, *rest in connection.execute(query)}


def test_recorded_requests_become_what_they_would_have_been_without_a_release(settings, engine):
    lost = TeacherReply("big", None, error="UpstreamFailed")
    records = [
        unmatched(1, SORT),
        unmatched(2, SORT, prompt_fingerprint="with tools", params={"temperature": 0.7}),
        unmatched(3, SORT, status=502, route="none", teacher_reply=lost),
        unmatched(4, "Something else."),
        unmatched(5, SORT, model="huge"),
        unmatched(6, SORT, reason="embeddings"),
        exchange(7),
    ]
    store(engine, records)
    assert take_over(settings, engine, "mail") == 3
    found = recorded(engine)
    assert found["id-000001"] == ("mail", "no_release", True, True, 1.0)
    assert found["id-000002"] == ("mail", "sampling", False, False, None)
    # It counts, with a lost label: to leave out what failed would certify on what did not.
    assert found["id-000003"] == ("mail", "no_release", True, True, 1.0)
    assert [found[f"id-00000{n}"][0] for n in (4, 5, 6, 7)] == [None, None, None, "desk"]
    assert take_over(settings, engine, "mail") == 0


def test_what_was_redacted_is_no_reference(settings, engine):
    said = [{"role": "system", "content": SORT}, {"role": "user", "content": "I am <email:3f2a>"}]
    store(engine, [unmatched(1, SORT, messages=said), unmatched(2, SORT, params={"user": "<email:3f2a>"})])
    assert take_over(settings, engine, "mail") == 2
    assert recorded(engine)["id-000001"] == ("mail", "private", False, False, None)
    assert recorded(engine)["id-000002"] == ("mail", "no_release", True, True, 1.0)  # no student reads who it is


def test_of_those_without_room_only_drawn_ones_are_references(settings, engine):
    lost = TeacherReply("big", None, error="CapacityExceeded")
    store(engine, [unmatched(n, SORT, status=429, route="none", teacher_reply=lost) for n in range(200)])
    take_over(settings, engine, "mail")
    key = reference_key(engine)
    for id, (_, _, eligible, reference, rho) in recorded(engine).items():
        assert eligible and rho == 0.05
        assert reference == (draw(key, id, domain=REFERENCE_DOMAIN) < 0.05)


def test_its_history_teaches_and_certifies(settings, engine):
    store(engine, [unmatched(n, SORT) for n in range(100)])
    assert take_over_all(settings, engine) == {"mail": 100}
    found = standing(engine, "mail", teacher="big", window_share=0.4)
    assert (found.rows, found.references) == (60, 40)
    taken = harvest(engine, task="mail", teacher="big", window_share=0.4, max_rows=1000, max_references=1000, due=1e9)
    assert (len(taken.older), len(taken.window)) == (60, 40)


def test_what_another_model_answered_under_the_teachers_name_is_left_where_it_is(settings, engine):
    note(engine, "desk", model="openai/older", now=1.0)
    note(engine, "desk", model="openai/big", now=50.0)
    store(engine, [unmatched(n, SORT) for n in (10, 60)])
    assert take_over(settings, engine, "mail") == 1
    assert recorded(engine)["id-000010"][0] is None


def test_a_task_with_a_release_takes_nothing_over(settings, engine):
    store(engine, [unmatched(1, SORT)])
    add_candidate(engine, task="mail", cut_at=1.0, base_model="m", now=2.0)
    with pytest.raises(ClaimRefused, match="has releases already"):
        take_over(settings, engine, "mail")
    assert take_over_all(settings, engine) == {} and recorded(engine)["id-000001"][0] is None


def test_a_worker_takes_over_what_was_recorded_until_it_started(settings, engine, tmp_path):
    store(engine, [unmatched(1, SORT)])
    compose(settings, engine, tmp_path / "tutelage.yaml")
    assert recorded(engine)["id-000001"][0] == "mail"
