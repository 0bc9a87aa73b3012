import subprocess
import sys

import pytest

from tutelage.threads import SPINS, share_cores


@pytest.mark.parametrize("said", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_whoever_has_said_how_they_wait_is_left_alone(said):
    environment = dict(said)
    share_cores(environment)
    assert environment == said


def test_torch_hears_it():
    """Its OpenMP reads the environment once, as it is loaded, and tells what it has read."""
    code = "from tutelage.threads import share_cores; share_cores(); import torch; torch.set_num_threads(2)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True, check=True
    )
    assert f"GOMP_SPINCOUNT = '{SPINS}'" in done.stderr
