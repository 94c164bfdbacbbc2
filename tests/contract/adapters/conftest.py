"""Keeps the results of contracts for docs/frameworks.md, when `python -m tools.frameworks` asks."""

import json
import os
from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

RESULTS: dict[str, dict[str, Any]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: Any
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    shown = getattr(item.cls, "shown", None)
    if shown is not None and (report.when == "call" or not report.passed):
        row = RESULTS.setdefault(
            item.cls.__name__,
            {
                "title": shown.title,
                "module": shown.module,
                "framework": item.cls.framework,
                "server": shown.server,
                "body": shown.body,
                "notices_disconnects": item.cls.notices_disconnects,
                "versions": {package: version(package) for package in shown.packages},
                "outcomes": {},
            },
        )
        row["outcomes"][item.name] = report.outcome
    return report


def pytest_sessionfinish() -> None:
    path = os.environ.get("STEPWELL_FRAMEWORK_RESULTS")
    if path and RESULTS:
        kept = {name: RESULTS[name] for name in sorted(RESULTS)}
        text = json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False)
        Path(path).write_text(f"{text}\n", encoding="utf-8")
