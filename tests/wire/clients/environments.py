"""Each client in an environment of its own, installed once from its lock under $TUTELAGE_HOME."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.node import node_packages
from tests.wire.rig import KEY, Rig
from tutelage.environments import ProvisionError, Recipe, Step, ensure_environment

HERE = Path(__file__).parent
LOCKS = HERE.parent / "locks"
HOME = Path(os.environ.get("TUTELAGE_HOME", HERE.parents[2] / ".tutelage")).resolve() / "wire"
LIMIT_S = 300.0


def python(name: str) -> Path:
    """The interpreter of an environment."""
    recipe = Recipe((Step(LOCKS / f"{name}.txt"),), gigabytes=0.5, duration="half a minute")
    return ensure_environment(HOME / name, recipe, say=lambda _: None)


def node() -> Path:
    """A folder with the packages of clients/node; skips, with the reason, where Node is missing."""
    source = HERE / "node"
    try:
        folder = node_packages(source, HOME / "node")
    except ProvisionError as error:
        pytest.skip(f"NOT TESTED: the Vercel AI SDK and openai for Node: {error}")
    shutil.copy(source / "check.mjs", folder / "check.mjs")
    return folder


def run(rig: Rig, *command: str | Path, cwd: Path = HERE, **variables: str) -> str:
    """What a client's program prints; the test fails with it where the program does."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(HOME),
        "OPENAI_BASE_URL": f"{rig.url}/v1",
        "OPENAI_API_KEY": KEY,
        "LANGSMITH_TRACING": "false",
        **variables,
    }
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def answered(rig: Rig, route: str) -> float:
    """How many requests a route has answered."""
    return rig.answered().get((route, "200"), 0.0)
