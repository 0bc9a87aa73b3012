"""A process that ends with its parent, also by kill -9: nothing is left on the ports. Linux only, as vLLM is."""

import ctypes
import signal

PR_SET_PDEATHSIG = 1  # prctl(2)


def tie_to_parent(sent: signal.Signals = signal.SIGTERM) -> None:
    """Have a signal sent to this process when its parent dies; survives exec."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, sent)
