"""Every alert has a page that tells what to do, and a test in which it fires."""

import re

import pytest
import yaml

from grafana.build import ROOT

FOLDER = ROOT / "deploy/prometheus"
GROUPS = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
TESTS = [
    case
    for test in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    for case in test["alert_rule_test"]
]
SECTIONS = ["What it means for clients", "What to look at", "What to do", "When to leave it until morning"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_runbook_that_names_it(name):
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]
    page = (ROOT / rule["annotations"]["runbook"]).read_text()
    assert f"`{name}`" in page
    assert re.findall(r"^## (.+)$", page, re.M) == SECTIONS and "```" in page


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tested_where_it_fires_and_where_it_does_not(name):
    cases = [case for case in TESTS if case["alertname"] == name]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


def test_every_page_is_listed_and_links_to_pages_that_there_are():
    pages = {path.name: path.read_text() for path in (ROOT / "docs/runbooks").glob("*.md")}
    used = {rule["annotations"]["runbook"].rpartition("/")[2] for rule in ALERTS.values()}
    assert used == set(re.findall(r"\]\((.+?\.md)\)", pages["README.md"])) == set(pages) - {"README.md"}
    for text in pages.values():
        assert set(re.findall(r"\]\(([\w-]+\.md)\)", text)) <= set(pages)
