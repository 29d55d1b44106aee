"""The broker of these tests: started when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stepwatch.embedded.folder import DataFolder
from tests.wire.listeners import Wire


@pytest.fixture(scope="session")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = DataFolder(tmp_path_factory.mktemp("wire"))
    with folder.lock():
        made = Wire(folder)
        made.server.start()
        try:
            yield made
        finally:
            made.server.kill()
