"""Each client in an environment of its own, installed once from its lock under $TUTELAGE_HOME."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.wire.rig import KEY, Rig
from tutelage.environments import Recipe, Step, ensure_environment

HERE = Path(__file__).parent
LOCKS = HERE.parent / "locks"
HOME = Path(os.environ.get("TUTELAGE_HOME", HERE.parents[2] / ".tutelage")).resolve() / "wire"
NODE_FILES = ("package.json", "package-lock.json")
LIMIT_S = 300.0


def python(name: str) -> Path:
    """The interpreter of an environment."""
    recipe = Recipe((Step(LOCKS / f"{name}.txt"),), gigabytes=0.5, duration="half a minute")
    return ensure_environment(HOME / name, recipe, say=lambda _: None)


def node() -> Path:
    """A folder with the packages of clients/node; skips, with the reason, where Node is missing."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("NOT TESTED: the Vercel AI SDK and openai for Node need node and npm (20 or newer) on the PATH")
    folder, source = HOME / "node", HERE / "node"
    stamp = folder / ".stamp"
    wanted = (source / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        for name in NODE_FILES:
            shutil.copy(source / name, folder / name)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True)
        stamp.write_text(wanted)
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
