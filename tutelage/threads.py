"""How torch's threads wait for each other on a CPU that they share with vLLM, the gateway and whoever else is there."""

import os
from collections.abc import MutableMapping

SPINS = "2000"


def share_cores(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have them look a little before they sleep, unless somebody has said how they are to wait.

    To be called before torch is loaded. Left to GNU's OpenMP they look for milliseconds, which makes a training on two
    cores a sixth as fast where another process wants one of them; asleep at once (passive), they take half as long
    again where nobody does (docs/decisions/0048).
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = SPINS
