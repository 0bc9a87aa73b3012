"""What `make` is asked for, and how it refuses what says nothing. No recipe is run."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("given", "kept"), [((), False), (("KEEP=0",), False), (("KEEP=",), False), (("KEEP=1",), True)]
)
def test_the_demo_is_left_up_where_that_is_asked_for(given, kept):
    told = _make("demo", "DEMO_ARGS=--seed 3", *given)
    (demo,) = [line.split() for line in told.stdout.splitlines() if "tutelage demo" in line]
    assert ("--keep" in demo) is kept and demo[-2:] == ["--seed", "3"]


@pytest.mark.parametrize("value", ["yes", "2", "1 1", "-1", "01"])
def test_another_value_is_refused_before_anything_is_set_up(value):
    told = _make("demo", f"KEEP={value}")
    assert told.returncode == 2 and f"KEEP={value} says nothing: 1 leaves the demo up" in told.stderr
    assert told.stdout == ""
    assert _make("unit", f"KEEP={value}").returncode == 0  # it is the demo's


def _make(*arguments):
    of_make = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "KEEP", "DEMO_ARGS")  # of the one that runs these tests
    environment = {name: value for name, value in os.environ.items() if name not in of_make}
    return subprocess.run(
        ["make", "--dry-run", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
