"""`python -m tutelage.tied COMMAND...`: become COMMAND, ended by SIGTERM when the parent dies.

Nothing is left on the ports when a supervisor is killed with -9. Linux only, as vLLM is.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # survives exec
    os.execvp(sys.argv[1], sys.argv[1:])
