"""What `import stepwell` brings, and what only comes when it is asked for."""

import json
import subprocess
import sys

import pytest

import stepwell

PROGRAM = """
import json, sys
import stepwell
brought = sorted(sys.modules)
made = stepwell.FunctionFailedEvent.__module__
print(json.dumps([brought, made]))
"""
# What a program needs that serves, sends, connects or tests, and not one that declares functions.
LATER = (
    *("aiohttp", "yarl", "httpx", "websockets", "google.protobuf", "cel_expr_python"),
    *("starlette", "uvicorn", "click", "rich", "sqlite3", "psycopg", "multiprocessing"),
    *("stepwell.server", "stepwell.cli", "stepwell.testing", "stepwell.sdk.serve.handler"),
    *("stepwell.sdk.connect", "stepwell.sdk.events.internal", "stepwell.wire.connect_pb2"),
)


def test_import_brings_what_declaring_functions_needs() -> None:
    command = [sys.executable, "-c", PROGRAM]
    out = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    brought, made = json.loads(out)
    assert set(LATER) & set(brought) == set()
    assert made == "stepwell.sdk.events.internal"


def test_every_public_name_is_there_and_listed() -> None:
    assert all(hasattr(stepwell, name) for name in stepwell.__all__)
    assert set(stepwell.__all__) <= set(dir(stepwell))
    with pytest.raises(AttributeError, match="module 'stepwell' has no attribute 'Evnt'"):
        _ = stepwell.Evnt  # type: ignore[attr-defined]
