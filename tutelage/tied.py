"""`python -m tutelage.tied COMMAND...`: become COMMAND, ended by SIGTERM when the parent dies.

Nothing is left on the ports when a supervisor is killed with -9. Linux only, as vLLM is.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def tie(number: int = signal.SIGTERM) -> None:
    """From now on this process gets the signal when its parent dies; the setting survives exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    tie()
    os.execvp(sys.argv[1], sys.argv[1:])
