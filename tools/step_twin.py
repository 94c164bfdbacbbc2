"""Writes the step tools of plain handlers from those of coroutine handlers: the same names and
arguments, and no `await`. Run `python -m tools.step_twin`; a test compares the result with the file
kept."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "stepwell/sdk/step/_async.py"
TWIN = ROOT / "stepwell/sdk/step/_sync.py"

HEAD = '"""The step tools of plain handlers: `ctx.step`, blocking. Written by tools/step_twin.py.'
IN_THE_TWIN = (
    (r'^"""The step tools of coroutine handlers: `ctx\.step`\.', HEAD),
    (r"\basync def\b", "def"),
    (r"\bawait ", ""),
    (r"\bCallPort\b", "CallPortSync"),
    (r"\b(Step|AI|StepRealtime)(?=[:(]\S*)", r"\1Sync"),
    (
        r"\bself\._client\.(send_in_run|send_signal|publish_in_run|annotations\.say)\(",
        r"self._client.\1_sync(",
    ),
    (
        r"A plain function\s+runs in a thread\.",
        "A coroutine\n        function runs on an event loop meanwhile.",
    ),
)


def twin() -> str:
    """The twin, formatted as everything here is."""
    text = SOURCE.read_text(encoding="utf-8")
    for pattern, replacement in IN_THE_TWIN:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if not count:
            raise SystemExit(f"nothing in {SOURCE.name} matches {pattern!r}: has it been renamed?")
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TWIN), "-"]
    done = subprocess.run(  # noqa: S603 - our own formatter
        command, input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    TWIN.write_text(twin(), encoding="utf-8")
