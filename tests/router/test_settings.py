"""Configuration: unusable files are refused by the names of their keys, and no secret is shown."""

import pytest
import yaml

from ledger.budgets import Budget
from ledger.prices import Price
from ledger.standing import ENOUGH
from router.settings import ConfigError, load
from tutelage.starter import starter

PRICE = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 4.0}
VALID = {
    "teachers": {"big": {"model": "openai/big"}},
    "student": {"base_model": "m", "price": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.2}},
    "tasks": {"desk": {"teacher": "big"}},
}


def write(tmp_path, values):
    path = tmp_path / "tutelage.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def test_defaults_are_safe_and_paths_lie_beside_the_file(tmp_path):
    settings = load(write(tmp_path, VALID))
    assert settings.server.host == "127.0.0.1"
    assert settings.teachers["big"].may_train is False
    assert (settings.teachers["big"].capacity_rpm, settings.teachers["big"].capacity_tpm) == (None, None)
    assert settings.server.limits_url.get_secret_value() == "async+memory://"
    assert settings.ledger.url == f"sqlite:///{tmp_path}/tutelage-data/ledger.db"
    assert settings.ledger.spool_dir == tmp_path / "tutelage-data/spool"
    assert settings.ledger.keep_days is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"server": {"port": 99999}}, "server.port"),
        ({"server": {"port": 9000, "admin_port": 9000}}, "admin_port 9000 is port too"),
        ({"server": {"host": "0.0.0.0"}}, "TUTELAGE_SERVER__API_KEY"),
        ({"distill": {"gateway_url": "http://gateway:9090/v1"}}, "distill.gateway_url"),
        ({"student": {**VALID["student"], "base_url": "student:8000"}}, "student.base_url"),
        ({"student": {**VALID["student"], "load_url": "http://engines:8000"}}, "load_url names the engines behind"),
        ({"tasks": {"desk": {"teacher": "nobody"}}}, "tasks.desk.teacher"),
        ({"tasks": {"desk": {"teacher": "big", "alpha": 1.5}}}, "tasks.desk.alpha"),
        ({"tasks": {"big": {"teacher": "big"}}}, "tasks.big"),
        ({"server": {"budget_usd": 0}}, "server.budget_usd"),
        ({"server": {"budget_per": "day"}}, "budget_per says nothing without budget_usd"),
        ({"tasks": {"desk": {"teacher": "big", "budget_usd": 1, "budget_per": "week"}}}, "tasks.desk.budget_per"),
        ({"tasks": {"desk": {"teacher": "big", "measure": "vibes"}}}, "tasks.desk.measure"),
        ({"tasks": {"desk": {"teacher": "big", "measure": "judge"}}}, "tasks.desk: measure: judge needs judge:"),
        (
            {"tasks": {"desk": {"teacher": "big", "measure": "judge", "judge": "nobody"}}},
            "tasks.desk.judge: no teacher named 'nobody' under teachers",
        ),
        ({"tasks": {"desk": {"teacher": "big", "labels": []}}}, "tasks.desk.labels"),
        ({"tasks": {"desk": {"teacher": "big", "labels": ["a", " "]}}}, "labels: ' ' is empty"),
        (
            {"tasks": {"desk": {"teacher": "big", "labels": ["Fee", "b", "fee."]}}},
            "labels: 'Fee' and 'fee.' are the same to measure exact: name each once",
        ),
        (
            {"tasks": {"desk": {"teacher": "big", "labels": ["1"], "measure": "number"}}},
            "labels are for measure: exact, and measure is number",
        ),
        ({"distill": {"ask_again": -1}}, "distill.ask_again"),
        ({"distill": {"also_try": [{"rank": 0}]}}, "distill.also_try.0.rank"),
        ({"distill": {"gpus": 3}}, "a batch_size of 8 is not shared by 3 gpus in equal parts"),
        ({"distill": {"also_try": [{"learning_rate": 2}]}}, "distill.also_try.0.learning_rate"),
        ({"distill": {"also_try": [{"epochs": 2}]}}, "distill.also_try.0.epochs"),
        ({"distill": {"also_try": [{}]}}, "are the same: leave one out"),
        ({"distill": {"also_try": [{"rank": n} for n in range(1, 7)]}}, "distill.also_try"),
        ({"distill": {"start": "champion", "also_try": [{"rank": 8}]}}, "leave the ranks out of also_try"),
        ({"distill": {"ask_again": 1, "ask_again_usd": 0}}, "distill.ask_again_usd"),
        ({"tasks": {"desk": {"teacher": "big", "judge": "big"}}}, "for measure: judge, and measure is exact"),
        ({"tasks": {"desk": {"teacher": "big", "judge_rubric": "x"}}}, "for measure: judge, and measure is exact"),
        ({"teachers": {"big": {"model": "x", "may_train": True}}}, "may_train: true needs terms"),
        ({"teachers": {"big": {"model": "x", "may_train": True, "terms": " "}}}, "may_train: true needs terms"),
        ({"teachers": {"big": {"model": "x", "may_train": True, "terms": "x"}}}, "needs confirmed_by: say who"),
        ({"teachers": {"big": {"model": "x", "direct": True}}}, "base_url"),
        ({"teachers": {"big": {"model": "x", "record_logprobs": 21}}}, r"teachers\.big\.record_logprobs"),
        ({"teachers": {"big": {"model": "x", "capacity_rpm": 0}}}, r"teachers\.big\.capacity_rpm"),
        ({"teachers": {"big": {"model": "x", "capacity_tpm": -5}}}, r"teachers\.big\.capacity_tpm"),
        ({"server": {"limits_url": "redis://elsewhere"}}, r"server\.limits_url: must begin with one of async\+memory"),
        (
            {"server": {"workers": 2}, "teachers": {"big": {"model": "x", "capacity_rpm": 60}}},
            r"2 processes would each spend the capacity of big",
        ),
        (
            {"tasks": {"desk": {"teacher": "big", "prefix": 64}}},
            "prefix 64 is no part of an answer of at most 64 tokens",
        ),
        ({"tasks": {"desk": {"teacher": "big", "student_prompt": "compact"}}}, "leaves out the system_prompt"),
        ({"distill": {"fit_share": 0.6, "validation_share": 0.4}}, "less than a tenth of the rows to teach"),
        ({"distill": {"min_rows": 400, "max_rows": 300}}, "no run would ever begin"),
        ({"distill": {"min_rows": ENOUGH + 1, "max_rows": 900_000}}, "less than or equal"),  # more are not counted
        ({"ledger": {"keep_days": 20}}, "keep_days: 20 would take from a release within its max_age_days of 21"),
        ({"canary": {"share": 0.0}}, "greater than 0"),
        ({"canary": {"share": 1.5}}, "less than or equal to 1"),
        ({"canary": {"min_requests": 5}}, "greater than or equal to 10"),
        ({"canary": {"max_slowdown": 0.5}}, "greater than or equal to 1"),
        ({"canary": {"sticky": True}}, "Extra inputs"),
        ({"distill": {"pattern": "hard"}}, "'preference', 'reasoning' or 'logit'"),
        ({"teachers": {}}, "teachers"),
        ({"student": {"base_model": "m"}}, r"student\.price.* or .*student\.usd_per_hour"),
        ({"student": {**VALID["student"], "usd_per_hour": 1.5}}, r"leave out student\.price, or student\.usd_per_hour"),
        (
            {"student": {"base_model": "m", "price": {**PRICE, "cached_input_usd_per_mtok": 0.1}}},
            r"price\.cached_input_usd_per_mtok is for teachers",
        ),
        (
            {
                "teachers": {
                    "big": {"model": "openai/big", "price": {**PRICE, "above": {9: {**PRICE, "above": {5: PRICE}}}}}
                }
            },
            "above stands inside above",
        ),
        ({"student": {"base_model": "m", "usd_per_hour": -1.0}}, "usd_per_hour: .*greater than or equal to 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, words):
    with pytest.raises(ConfigError, match=words):
        load(write(tmp_path, {**VALID, **change}))


@pytest.mark.parametrize("text", ["{", "- a list", "", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"tutelage\.yaml"):
        load(write(tmp_path, text))


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigError, match="tutelage init"):
        load(tmp_path / "none.yaml")


def test_the_environment_overrides_the_file_and_its_secrets_stay_unseen(tmp_path, monkeypatch):
    monkeypatch.setenv("TUTELAGE_SERVER__PORT", "9001")
    monkeypatch.setenv("TUTELAGE_SERVER__API_KEY", "very-secret")
    monkeypatch.setenv("TUTELAGE_SERVER__LIMITS_URL", "async+redis://:very-secret@elsewhere:6379")
    settings = load(write(tmp_path, {**VALID, "server": {"host": "0.0.0.0", "port": 1}}))
    assert (settings.server.port, settings.server.host) == (9001, "0.0.0.0")
    assert settings.server.limits_url.get_secret_value().endswith("elsewhere:6379")
    assert "very-secret" not in repr(settings)


def test_a_missing_teacher_key_names_its_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("BIG_KEY", raising=False)
    settings = load(write(tmp_path, {**VALID, "teachers": {"big": {"model": "x", "api_key_env": "BIG_KEY"}}}))
    with pytest.raises(ConfigError, match="BIG_KEY"):
        settings.teachers["big"].api_key()


def test_the_starter_is_valid(tmp_path):
    text = starter(teacher="openai/gpt-4o-mini", task="topics", base_model="/models/small")
    settings = load(write(tmp_path, text))
    limited = load(write(tmp_path, text.replace("# capacity", "capacity"))).teachers["gpt-4o-mini"]
    assert (limited.capacity_rpm, limited.capacity_tpm) == (500, 200_000)
    before, section = text.split("# distill:\n")
    uncommented = "\n".join(line.removeprefix("#") for line in section.splitlines())
    tried = load(write(tmp_path, f"{before}distill:\n{uncommented}")).distill.variants
    assert tried == [(16, 2e-4), (16, 5e-4)]
    assert settings.teachers["gpt-4o-mini"].model == "openai/gpt-4o-mini"
    assert settings.tasks["topics"].teacher == "gpt-4o-mini"


def test_a_release_is_bound_to_its_judge_and_to_what_it_was_told(tmp_path):
    def settings(**task):
        judged = {"teacher": "big", "measure": "judge", "judge": "referee", **task}
        teachers = {
            "big": {"model": "openai/big"},
            "referee": {"model": "openai/referee"},
            "r2": {"model": "openai/r2"},
        }
        return load(write(tmp_path, {**VALID, "teachers": teachers, "tasks": {"desk": judged}}))

    bound = settings().binding("desk")
    assert (bound["measure"], bound["judge"], bound["judge_rubric"]) == ("judge", "openai/referee", "")
    others = [settings(judge="r2"), settings(judge_rubric="amounts"), load(write(tmp_path, VALID))]
    assert all(other.binding("desk") != bound for other in others)
    assert "judge" not in others[-1].binding("desk") and others[-1].compares_by("desk") == "exact"
    assert settings(judge_rubric="amounts").compares_by("desk").rubric == "amounts"


def test_a_budget_is_a_months_where_nothing_else_is_said(tmp_path):
    values = {**VALID, "server": {"budget_usd": 50, "budget_per": "total"}}
    values["tasks"] = {"desk": {"teacher": "big", "budget_usd": 2.5}, "till": {"teacher": "big"}}
    settings = load(write(tmp_path, values))
    assert settings.server.budget == Budget(50.0, "total")
    assert settings.tasks["desk"].budget == Budget(2.5, "month") and settings.tasks["till"].budget is None


def test_engine_and_gateway_may_be_elsewhere(tmp_path):
    here = load(write(tmp_path, VALID))
    assert (here.student.url, here.student.engines_url) == ("http://127.0.0.1:8082", "http://127.0.0.1:8082")
    assert here.internal_url == "http://127.0.0.1:8080"
    student = {**VALID["student"], "base_url": "http://student:8000"}
    one = load(write(tmp_path, {**VALID, "student": student, "distill": {"gateway_url": "http://admin:9090"}}))
    assert (one.student.url, one.student.engines_url) == ("http://student:8000", "http://student:8000")
    assert one.internal_url == "http://admin:9090"
    many = load(write(tmp_path, {**VALID, "student": {**student, "load_url": "http://engines:8000"}}))
    assert (many.student.url, many.student.engines_url) == ("http://student:8000", "http://engines:8000")


@pytest.mark.parametrize("free", [{}, {"price": {"input_usd_per_mtok": 0.0, "output_usd_per_mtok": 0.0}}])
def test_a_machine_is_paid_for_by_the_hour_or_by_the_token(tmp_path, free):
    found = load(write(tmp_path, {**VALID, "student": {"base_model": "m", "usd_per_hour": 2.5, **free}})).student
    assert (found.usd_per_hour, found.token_price) == (2.5, Price(0.0, 0.0))
    by_token = load(write(tmp_path, {**VALID, "student": {**VALID["student"], "usd_per_hour": 0.0}})).student
    assert by_token.token_price == by_token.price.per_token


def test_a_teachers_price_may_tell_every_kind_of_token(tmp_path):
    kinds = {"cached_input": 0.1, "cache_write": 1.25, "audio_input": 30.0, "audio_output": 60.0, "reasoning": 8.0}
    longer = {200_000: {"input_usd_per_mtok": 2.0, "output_usd_per_mtok": 6.0}}
    price = {**PRICE, **{f"{name}_usd_per_mtok": usd for name, usd in kinds.items()}, "above": longer}
    found = load(write(tmp_path, {**VALID, "teachers": {"big": {"model": "openai/big", "price": price}}}))
    of_token = (1e-6, 4e-6, 0.1 / 1e6, 1.25e-6, 3e-5, 6e-5, 8e-6)
    assert found.teachers["big"].price.per_token == Price(*of_token, above=((200_000, Price(2e-6, 6e-6)),))
