"""The dashboards are current, say what they show, and ask for metrics that there are. Grafana itself is not needed."""

import json
import re
from itertools import combinations

import pytest
import yaml

from grafana.build import BOARDS, ROOT, files
from grafana.panels import ANNOTATIONS

UNITS = {"short", "percentunit", "currencyUSD", "reqps", "s", "bytes", "d"}
OF_PROMETHEUS = {"ALERTS", "up", "scrape_duration_seconds"}
RULES = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
RECORDED = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
KNOWN = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.M))
EXPRESSIONS = [
    *(expr for board in BOARDS for expr in board.expressions),
    *(expr for expr, _, _ in ANNOTATIONS.values()),
    *(rule["expr"] for group in RULES["groups"] for rule in group["rules"]),
]


@pytest.mark.parametrize(("path", "text"), list(files()), ids=lambda value: getattr(value, "name", ""))
def test_what_is_committed_is_what_the_code_makes(path, text):
    assert path.read_text() == text, "run: python -m grafana.build"


def metrics_of(expr: str) -> set[str]:
    """The series that an expression asks for."""
    bare = re.sub(r'"[^"]*"|\b(by|on|group_left|unless on) *\([^)]*\)', "", expr)
    names = set(re.findall(r"\b(tutelage[\w:]+|ALERTS|up|scrape_duration_seconds)\b", bare))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_every_expression_asks_for_metrics_that_there_are(expr):
    asked = metrics_of(expr)
    assert asked and asked <= KNOWN | RECORDED | OF_PROMETHEUS


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_panel_says_what_it_shows(board):
    values = json.loads((ROOT / f"grafana/dashboards/{board.uid}.json").read_text())
    panels = [panel for panel in values["panels"] if panel["type"] != "row"]
    assert values["uid"] == board.uid and values["schemaVersion"] >= 36 and values["editable"] is False
    assert len(panels) == sum(len(row.panels) for row in board.rows)
    assert len({panel["id"] for panel in values["panels"]}) == len(values["panels"])
    for panel in panels:
        assert len(panel["description"]) > 20 and panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"] and all(target["expr"] for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert [variable["name"] for variable in values["templating"]["list"]] == ["datasource", "task", "release"]
    assert {note["name"] for note in values["annotations"]["list"]} == {"Releases", "Alarms"}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_no_panel_lies_on_another(board):
    values = json.loads((ROOT / f"grafana/dashboards/{board.uid}.json").read_text())
    for one, other in combinations([panel["gridPos"] for panel in values["panels"]], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
        assert one["x"] + one["w"] <= 24


def test_provisioning_names_what_is_there():
    source = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text())
    boards = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/tutelage.yml").read_text())
    assert [each["type"] for each in source["datasources"]] == ["prometheus"]
    assert [each["type"] for each in boards["providers"]] == ["file"]


def test_metrics_are_named_as_prometheus_asks():
    text = (ROOT / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.+?) \|$", text, re.M)
    assert len(rows) > 50
    for name, kind, _, words in rows:
        assert name.startswith("tutelage_") and words.endswith("."), name
        assert (kind == "counter") == name.endswith("_total"), name
