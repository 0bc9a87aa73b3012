"""Programs for Node, installed once from their lock."""

import shutil
import subprocess
from pathlib import Path

from tutelage.environments import ProvisionError

FILES = ("package.json", "package-lock.json")


def node_packages(source: Path, folder: Path) -> Path:
    """`folder` with the packages that the lock in `source` names. Raises ProvisionError."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise ProvisionError("node and npm (20 or newer) are not on the PATH")
    stamp, wanted = folder / ".stamp", (source / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(source / name, folder / name)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        if (found := subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)).returncode:
            raise ProvisionError(f"npm ci failed: {found.stderr[-600:]}")
        stamp.write_text(wanted)
    return folder
