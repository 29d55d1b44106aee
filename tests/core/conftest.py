"""Every test that drives a correlator runs twice: on lists of records, and on chunks that the native core reads."""

from __future__ import annotations

import pytest

from stepwatch.streams.native import is_built
from tests.core import driver


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both ways for the tests of a module that drives a correlator."""
    if hasattr(metafunc.module, "Driver"):
        metafunc.fixturenames.append("reads")
        metafunc.parametrize("reads", ["python", "native"], indirect=True)


@pytest.fixture
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the correlator what it is to read in the way that is asked for."""
    native = request.param == "native"
    if native and not is_built:
        pytest.skip("the native core is not built: cargo was missing when Stepwatch was installed")
    monkeypatch.setattr(driver, "AS_CHUNKS", native)
