"""That `make validity` ends with a status of 1, and says where, as soon as a promise does not hold."""

import pytest

from bench import validity, validity_live
from bench.limits import Findings, allowed
from bench.validity import GOOD, OURS, WORLDS, Cell
from bench.validity_live import Path

FEASIBLE, EDGE, BEYOND = WORLDS


def test_what_is_allowed_is_the_share_and_two_standard_errors():
    assert allowed(500, 0.05) == pytest.approx(25 + 2 * 4.873, abs=0.01)


@pytest.mark.parametrize(
    ("world", "false", "coverage", "words"),
    [
        (FEASIBLE, 34, 0.5, []),
        (FEASIBLE, 35, 0.5, ["alpha 5%, n 3000: 35 of 500 runs have a false certificate, at most 34.7 may"]),
        (FEASIBLE, 0, 0.40, ["alpha 5%, n 3000: a coverage of 0.400, at least 0.406 is wanted"]),
        (EDGE, 35, 0.0, ["1.01 everywhere, alpha 5%, n 3000: 35 of 500"]),
        (BEYOND, 6, 0.0, ["1.5 everywhere, alpha 5%, n 3000: 6 of 500"]),
    ],
)
def test_a_cell_says_what_does_not_hold_of_it(*, world, false, coverage, words):
    broken = list(Cell(world, 0.05, 3000, 500, 500, 400, false, coverage).broken)
    assert len(broken) == len(words) and all(part in each for part, each in zip(words, broken, strict=True))


def ended(findings: Findings, capsys) -> str:
    """What is said where something does not hold; nothing where all does."""
    try:
        findings.end()
    except SystemExit as error:
        assert error.code == 1
        return capsys.readouterr().err
    return ""


def test_nothing_is_said_where_all_holds(capsys):
    findings = Findings(["| a table |"])
    findings.need(True, "holds")
    assert not ended(findings, capsys) and capsys.readouterr().out == "| a table |\n"


def test_the_first_table_names_its_cell(monkeypatch, capsys):
    monkeypatch.setattr(
        validity, "measure", lambda world, *, alpha, n, runs: Cell(world, alpha, n, runs, runs, runs, runs, 1.0)
    )
    findings = Findings()
    validity.certificates(findings, runs=100)
    assert "8.9 (1-s)^2, alpha 2%, n 300: 100 of 100 runs have a false certificate" in ended(findings, capsys)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"every row": 40, OURS: 5, GOOD: 90}, ""),
        ({"every row": 40, OURS: 10, GOOD: 90}, f"{OURS}: 10 of 100"),
        ({"every row": 40, OURS: 0, GOOD: 10}, f"{GOOD} in 10 of 100"),  # it holds by refusing
        ({"every row": 5, OURS: 0, GOOD: 90}, "every row: 5 of 100"),  # there is nothing to withstand
    ],
)
def test_the_second_table_names_who_fails_and_who_ought_to(*, monkeypatch, capsys, found, words):
    monkeypatch.setattr(validity, "hot_clusters", lambda *, runs: dict(found))
    monkeypatch.setattr(validity, "selected_rows", lambda *, runs: {})
    monkeypatch.setattr(validity, "observed_risk_fails", lambda *, alpha, n, runs: runs)
    findings = Findings()
    validity.what_fails(findings, runs=100)
    said = ended(findings, capsys)
    assert words in said and bool(words) == bool(said)


@pytest.mark.parametrize(("misses", "said"), [(20, False), (21, True)])
def test_intervals_may_miss_in_one_run_of_twenty(*, monkeypatch, capsys, misses, said):
    monkeypatch.setattr(validity_live, "intervals", lambda **_: Path(misses, 0.1))
    findings = Findings()
    validity_live.of_intervals(findings, runs=400)
    assert (f"misses in {misses} of 400 runs" in ended(findings, capsys)) is said


@pytest.mark.parametrize(
    ("alarms", "longer", "words"),
    [(0, 1.4, ""), (20, 1.0, "20 of 400 runs sound within 100"), (0, 1.6, "risk rises to 8%"), (0, 0.6, "to 25%")],
)
def test_alarms_are_rare_and_soon(*, monkeypatch, capsys, alarms, longer, words):
    monkeypatch.setattr(validity_live, "false_alarms", lambda **_: alarms)
    monkeypatch.setattr(validity_live, "median_delay", lambda risk, **_: validity_live.DELAYS[risk] * longer)
    findings = Findings()
    validity_live.of_alarms(findings, runs=400)
    said = ended(findings, capsys)
    assert words in said and bool(words) == bool(said)
