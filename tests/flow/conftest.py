"""Every case of flow control runs over the memory store and SQLite, on a bench without a loop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.flow_bench import FlowBench


@pytest.fixture(params=["memory", "sqlite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlowBench]:
    """An engine at a fixed time."""
    bench = FlowBench.over(request.param, tmp_path / "flow.db")
    yield bench
    bench.close()
