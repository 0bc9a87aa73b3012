"""Everything that Grafana and the rules ask is answered by a real Prometheus, and alerts fire from real faults.

`make observability`. It needs Debian's package `prometheus`; Grafana is not needed.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import yaml

from grafana.build import BOARDS, ROOT
from grafana.panels import ANNOTATIONS
from ledger.budgets import of_task
from ledger.database import connect
from ledger.leases import held, run_lease
from ledger.schema import exchanges
from ledger.spool import segments
from tests.observability.stack import LIMIT_S, PLANNED_USD, PROMETHEUS, PROMTOOL, Stack, locked, running, wait_for
from tests.observability.test_dashboards import metrics_of
from tests.wire.rig import KEY
from tests.wire.upstream import saying, status

pytestmark = [
    pytest.mark.observability,
    pytest.mark.skipif(not Path(PROMETHEUS).exists(), reason="needs Debian's package prometheus"),
]
VARIABLES = {"$task": ".*", "$release": ".*", "$__rate_interval": "30s", "$__range": "5m", "$__interval": "15s"}
RULES = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with running(tmp_path_factory.mktemp("stack")) as found:
        found.await_data('tutelage_agreement{task="desk"}', what="the worker's word")
        yield found


def test_promtool_takes_the_rules_and_their_tests_pass():
    for arguments in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run([PROMTOOL, *arguments], cwd=ROOT / "deploy/prometheus", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_can_read_every_expression_of_every_panel(tmp_path):
    asked = [*(expr for board in BOARDS for expr in board.expressions), *(expr for expr, _, _ in ANNOTATIONS.values())]
    rules = [{"record": f"panel:{number}", "expr": filled(expr)} for number, expr in enumerate(asked)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", "panels.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(asked)} rules" in done.stdout, done.stdout + done.stderr


def test_promtools_tests_notice_a_rule_that_is_wrong(tmp_path):
    text = (ROOT / "deploy/prometheus/rules.yml").read_text()
    tests = (ROOT / "deploy/prometheus/rules_test.yml").read_text()
    (tmp_path / "rules_test.yml").write_text(tests)
    for right, wrong in (("< 3 * 86400", "< 1 * 3600"), ("> 0.9", "> 99"), ("tutelage_worker_up) == 0", "up) == 7")):
        assert right in text
        (tmp_path / "rules.yml").write_text(text.replace(right, wrong))
        done = subprocess.run([PROMTOOL, "test", "rules", "rules_test.yml"], cwd=tmp_path, capture_output=True)
        assert done.returncode != 0, wrong


def test_a_drift_of_prompts_is_noticed_without_labels(stack: Stack):
    """Before the other tests: what nobody has noticed has no sample."""
    stack.await_data('sum(tutelage_drafts_total{task="desk"}) > 200')
    stack.words = 60
    stack.await_data('tutelage_drift_notices{task="desk"}')
    stack.words = 5


def filled(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_expression_of_every_panel_has_data(stack, board):
    stack.await_data(*map(filled, board.expressions))


def test_the_variables_have_values(stack):
    shown = json.loads((ROOT / "grafana/dashboards/tutelage-quality.json").read_text())["templating"]["list"]
    for variable in shown[1:]:
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", filled(variable["query"])).groups()
        assert {each["metric"][label] for each in stack.query(series)}, variable["name"]


def test_a_release_that_comes_into_force_is_an_annotation(stack):
    """It was there when Prometheus began; the alarm's comes with its fault below."""
    began = min(
        float(each["value"][1]) for each in stack.query("min_over_time(timestamp(tutelage_release_in_force)[10m:1s])")
    )
    assert stack.query(filled(ANNOTATIONS["Releases"][0]), at=began + 5)


@pytest.mark.parametrize(
    "rule",
    [rule for group in RULES["groups"] for rule in group["rules"]],
    ids=lambda rule: rule.get("alert") or rule["record"],
)
def test_both_sides_of_every_rule_have_data(stack, rule):
    """A comparison that says true or false instead of leaving out what is not so."""
    if rule.get("alert") == "TutelageReleaseOverdue":
        sides = sorted(metrics_of(rule["expr"]))  # what nobody has decided to make has no sample of its own
    else:
        sides = [re.sub(r"(\s)(>|<|==) ", r"\1\2 bool ", rule["expr"])]
    # Prometheus has run for minutes: it cannot look back further.
    short = [re.sub(r"offset 1h", "offset 10s", re.sub(r"\[(1d|1h|30m)\]", "[30s]", side)) for side in sides]
    stack.await_data(*short)


def test_two_processes_are_counted_as_one_and_a_killed_one_loses_nothing(stack):
    asked = 'sum(tutelage_requests_total{route!="none"})'
    before, (victim, *others) = stack.value(asked), stack.gateway_processes()
    assert others
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(stack.gateway_processes()) == 2, what="the next process")
    stack.await_data(f"{asked} > {before + 50}")
    resets = stack.query('resets(tutelage_requests_total{task="desk",route="student"}[2m])')
    assert resets and all(each["value"][1] == "0" for each in resets)


def test_a_teacher_without_room_and_a_budget_that_ends(stack):
    """Of the task `tight`, whose teacher may be asked twenty times a minute, and of `poor`."""
    stack.await_firing("TutelageHeadroomGone", "TutelageTeacherHasNoRoom", "TutelageBudgetNearlySpent")


def test_a_certificate_of_one_day(stack):
    stack.await_firing("TutelageCertificateExpiring")


def test_a_teacher_that_costs_more_than_is_planned(stack):
    """One answer costs more than twice the month's budget: ahead of the month on its last day too. It ends where the
    budget is raised, as the runbook says."""
    assert "TutelageSpendAbovePlan" not in stack.firing()
    before, stack.asking_narrow = stack.asking_narrow, ("planned",)
    stack.await_firing("TutelageSpendAbovePlan", scope=of_task("planned"))
    stack.asking_narrow = before

    def raised(values):
        values["tasks"]["planned"]["budget_usd"] = 100 * PLANNED_USD

    stack.restart("narrow", raised)
    stack.await_data(f'tutelage_budget_usd{{scope="{of_task("planned")}"}} > {PLANNED_USD}')
    stack.await_silence("TutelageSpendAbovePlan")


def test_drafts_that_are_paid_for_and_never_accepted(stack):
    """Of `doubt`: each of its requests costs a draft and the teacher's answer."""
    assert "TutelageSavingsNegative" not in stack.firing(task="doubt")
    with stack.asked_for("desk", "doubt"):
        stack.await_firing("TutelageSavingsNegative", task="doubt")
    stack.await_silence("TutelageSavingsNegative", task="doubt")


def test_a_student_that_does_not_answer(stack):
    stack.await_silence("TutelageStudentDown")
    with stack.student.doing(status(500)):
        stack.await_firing("TutelageStudentDown")
        stack.await_data('max(tutelage_breaker_open{part="student"}) >= 1')
    stack.await_silence("TutelageStudentDown")


def test_traffic_that_no_task_knows(stack):
    stack.await_silence("TutelageUnmatchedJump")
    with stack.asked_for("desk", "big", "big", "big"):
        stack.await_firing("TutelageUnmatchedJump")
    stack.await_silence("TutelageUnmatchedJump")


def test_drafts_without_evidence(stack):
    with stack.asked_for("desk", "fresh"):
        # Zero, and no gap: a jump from nothing at all would not be one.
        stack.await_data('avg_over_time(tutelage:escalated:ratio_30m{task="desk"}[15s]) < 0.05', what="good times")
        with stack.student.doing(saying(sure=False)):
            stack.await_firing("TutelageEscalationJump")
    stack.await_silence("TutelageEscalationJump")


def test_a_ledger_that_hangs(stack):
    """Gateways are scraped as before, and go on by what they last knew; what they answer waits, and is not lost."""
    stack.await_silence("TutelageLedgerDown")
    with locked(Path(sa.make_url(stack.settings.ledger.url).database)):
        stack.await_firing("TutelageLedgerDown")
        body = {"model": "desk", "messages": [{"role": "user", "content": "Where is my parcel?"}]}
        headers = {"authorization": f"Bearer {KEY}"}
        told = httpx.post(f"{stack.url}/v1/chat/completions", json=body, headers=headers, timeout=LIMIT_S).headers
        assert told["x-tutelage-route"] == "student"
    stack.await_silence("TutelageLedgerDown")
    engine = connect(stack.settings.ledger.url)
    asked = sa.select(exchanges.c.id).where(exchanges.c.id == told["x-tutelage-exchange-id"])

    def recorded():
        with engine.connect() as connection:
            return connection.execute(asked).first() is not None

    wait_for(recorded, what="the record")
    engine.dispose()


def test_a_student_that_differs_from_its_teacher(stack):
    """The contract's alarm, heard by the real worker; from then on the teacher answers."""
    stack.await_data('tutelage_release_in_force{task="desk"}')
    with stack.student.doing(saying(words=("Something", " else", "."))):
        stack.await_firing("TutelageContractAlarm")
    stack.await_data(filled(ANNOTATIONS["Alarms"][0]))
    stack.await_data(left_to_its_teacher("desk"))


def left_to_its_teacher(task):
    return f'tutelage_task_info{{task="{task}"}} unless on (task) tutelage_release_in_force'


def test_settings_that_no_longer_fit_a_release(stack):
    """Another model becomes the teacher of `doubt`; the worker that is started with it voids the release."""
    assert "TutelageReleaseVoided" not in stack.firing()
    stack.await_data('tutelage_release_in_force{task="doubt"}')

    def another_teacher(values):
        values["teachers"]["other"] = {**values["teachers"]["big"], "model": "another"}
        values["tasks"]["doubt"] = {**values["tasks"]["doubt"], "teacher": "other"}

    stack.restart("worker", another_teacher)
    stack.await_firing("TutelageReleaseVoided", task="doubt", trigger="changed")
    stack.await_data(left_to_its_teacher("doubt"))
    stack.await_silence("TutelageReleaseVoided")


def test_a_teacher_at_500(stack):
    """Behind the alarm of the contract: a reference whose label is lost counts as a disagreement."""
    stack.await_silence("TutelageTeacherDown", "TutelageTeacherFails")
    with stack.teacher.doing(status(500)):
        stack.await_firing("TutelageTeacherDown", "TutelageTeacherFails")
    stack.await_silence("TutelageTeacherDown", "TutelageTeacherFails")


def test_an_ingester_that_stands_still(stack):
    stack.await_silence("TutelageSpoolGrowing")
    os.killpg(stack.parts["ingester"].process.pid, signal.SIGSTOP)
    try:
        stack.await_firing("TutelageSpoolGrowing")
    finally:
        os.killpg(stack.parts["ingester"].process.pid, signal.SIGCONT)
    stack.await_silence("TutelageSpoolGrowing")


def test_a_spool_that_takes_no_more(stack):
    """A limit on the size of files, of which the system tells as of a full disk."""
    stack.await_silence("TutelageSpoolFull")
    processes = stack.gateway_processes()
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in processes]
    for pid, (_, hard) in zip(processes, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        stack.await_firing("TutelageSpoolFull")
    finally:
        for pid, limits in zip(processes, before, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    stack.await_silence("TutelageSpoolFull")


def test_a_line_that_no_ledger_takes(stack):
    directory = stack.settings.ledger.spool_dir
    (directory / "00000000000000000000-0-torn.jsonl").write_bytes(b"no record\n")
    stack.await_firing("TutelageRecordsRejected")
    assert segments(directory)


def teaching(values):
    """As settings are where training is allowed and a few rows are enough for it. There is no base model."""
    for teacher in values["teachers"].values():
        teacher |= {"may_train": True, "terms": "scripted", "confirmed_by": "this test"}
    values["distill"] = {"min_rows": 50, "min_references": 1}


def forbidding(values):
    for teacher in values["teachers"].values():
        teacher["may_train"] = False


def test_runs_that_fail(stack):
    """Two as they are made by hand: neither finds the base model."""
    config = Path(stack.parts["worker"].program.command[-1])
    values = yaml.safe_load(config.read_text())
    teaching(values)
    other = config.with_name("teaching.yaml")
    other.write_text(yaml.safe_dump(values))
    ask_of_everything(stack, "fresh", times=150)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "tutelage", "distill", "run", "fresh", "--decided", "--config", str(other)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2 and "is not on this machine" in done.stderr, done.stdout + done.stderr
    stack.await_firing("TutelageRunsFailing", task="fresh")


def test_a_run_that_hangs(stack):
    """Its lease is renewed, and nothing else happens."""
    engine = connect(stack.settings.ledger.url)
    with held(engine, run_lease("fresh"), holder="a run that hangs"):
        stack.await_firing("TutelageRunStuck", task="fresh")
    stack.await_silence("TutelageRunStuck", task="fresh")
    engine.dispose()


def ask_of_everything(stack, task, *, times):
    """Requests that are like no other, until the ledger has them."""
    engine = connect(stack.settings.ledger.url)
    ids: list[str] = []
    with httpx.Client(base_url=stack.url, headers={"authorization": f"Bearer {KEY}"}, timeout=10.0) as client:
        for number in range(times):
            content = sha256(str(number).encode()).hexdigest()
            body = {"model": task, "messages": [{"role": "user", "content": content}]}
            reply = client.post("/v1/chat/completions", json=body).raise_for_status()
            ids.append(reply.headers["x-tutelage-exchange-id"])

    def stored():
        with engine.connect() as connection:
            query = sa.select(sa.func.count()).where(exchanges.c.id.in_(ids))
            return connection.execute(query).scalar() == times

    wait_for(stored, what="the ingester")
    engine.dispose()


def test_a_worker_that_is_gone_when_it_has_decided(stack):
    """Its lease ends after half a minute, and nobody makes the release that it has found due."""
    stack.restart("worker", teaching)
    stack.await_data('tutelage_decision_stands{action="train"} == 1', what="a decision")
    stack.parts["worker"].kill()
    stack.await_firing("TutelageWorkerDown", "TutelageReleaseOverdue")
    stack.restart("worker", forbidding)
    stack.await_silence("TutelageWorkerDown", "TutelageReleaseOverdue")


def test_a_gateway_that_is_gone(stack):
    stack.parts["gateway"].kill()
    stack.await_firing("TutelageGatewayDown")
    stack.parts["gateway"].start()
    stack.await_silence("TutelageGatewayDown")


def test_every_alert_has_fired_here(stack):
    """The last one: by what Prometheus has kept."""
    kept = stack.query('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1d]))')
    fired = {each["metric"]["alertname"] for each in kept}
    alerts = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
    assert alerts - fired == set()
