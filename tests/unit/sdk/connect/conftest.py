"""A gateway on another thread; and no test overlooks a fault that a worker outlived."""

from collections.abc import Iterator

import pytest

from tests.fake_server import FakeServer


@pytest.fixture(autouse=True)
def no_fault_is_overlooked(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> Iterator[None]:
    yield
    said = [record.getMessage() for record in caplog.get_records("call")]
    faults = [line for line in said if "connection has a fault" in line]
    assert request.path.name == "test_faults.py" or not faults


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running
