"""`python -m tutelage.alone NAME COMMAND...`: become COMMAND, once what an earlier one of this name left is gone.

vLLM's engine and workers outlive a server that is killed, and hold its memory, a GPU's too: the next server would find
none. Whatever COMMAND starts inherits its name and its process id, so that what is left without it can be told.
"""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

NAME, MAIN = "TUTELAGE_ALONE", "TUTELAGE_ALONE_PID"
KEPT = {"SPT_NOENV": "1"}  # setproctitle writes a process's title over what /proc tells of its environment, unless told


def orphans(name: str) -> list[int]:
    """Processes of that name whose main process is gone."""
    named = {pid: variables for pid, variables in _processes().items() if variables.get(NAME) == name}
    return [pid for pid, variables in named.items() if int(variables.get(MAIN, 0)) not in named]


def _processes() -> dict[int, dict[str, str]]:
    """The environment that each process of this user began with."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            pairs = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            found[int(folder.name)] = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return found


def main(name: str, command: list[str]) -> None:
    """End the orphans, then become the command."""
    for pid in orphans(name):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os.environ |= {NAME: name, MAIN: str(os.getpid()), **KEPT}
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
