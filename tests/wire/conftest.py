"""One rig for all wire tests: it takes seconds to start, and each test leaves it as it was."""

from collections.abc import Iterator

import pytest

from tests.wire.rig import Rig, running


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("wire")) as found:
        yield found
