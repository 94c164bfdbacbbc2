"""The README's first program and its commands, followed to the letter (but on a free port)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.docs.test_snippets import ROOT, blocks
from tests.interop.harness import answers, free_port, process, until


@pytest.mark.slow
def test_the_readme_can_be_followed(tmp_path: Path) -> None:
    listed = blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    program = next(code for _, label, code in listed if label == "python")
    consoles = [code.splitlines()[0] for _, label, code in listed if label == "console"]
    assert consoles[:2] == ["$ pip install stepwell", "$ stepwell dev shop"]
    assert len(program.strip().splitlines()) <= 15
    (tmp_path / "shop.py").write_text(program, encoding="utf-8")

    port = free_port()
    url = f"http://localhost:{port}"
    env = {"PYTHONPATH": str(ROOT), "STEPWELL_URL": url}
    stepwell = [sys.executable, "-m", "stepwell"]
    start = [*stepwell, "dev", "shop", "--port", str(port), "--no-discovery"]
    with process(start, env, tmp_path / "dev.log", tmp_path):
        until("the server", lambda: answers(f"{url}/health"))

        def told(*words: str) -> str:
            done = subprocess.run(
                [*stepwell, *words],
                cwd=tmp_path,
                env={**os.environ, **env},
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout

        def known() -> bool | None:
            return bool(httpx.get(f"{url}/v1/apps/shop/functions").json()) or None

        until("the function to be known", known)
        event = told("send", "order/placed", '{"order": 7}').strip()

        def over() -> str | None:
            runs = told("runs")
            return runs if "COMPLETED" in runs else None

        assert "shop-ship-order" in until("the run to complete", over)
        assert json.loads(told("run", event, "--output")) == "parcel-7 is on its way"
