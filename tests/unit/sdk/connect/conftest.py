"""A worker outlives faults of ours; a test must not overlook them."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_fault_is_overlooked(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> Iterator[None]:
    yield
    said = [record.getMessage() for record in caplog.get_records("call")]
    faults = [line for line in said if "connection has a fault" in line]
    assert request.path.name == "test_faults.py" or not faults
