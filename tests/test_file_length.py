"""A file that has outgrown 400 lines does more than one thing."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT = 400


@pytest.mark.parametrize("package", ["router", "calibration", "distill", "ledger", "tutelage"])
def test_files_are_short(package: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in (ROOT / package).rglob("*.py")
    }
    assert lengths, f"{package} has no files"
    assert {path: lines for path, lines in lengths.items() if lines > LIMIT} == {}
