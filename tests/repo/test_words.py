"""The project speaks of itself alone: no path of somebody's machine, no registry's host."""

import re
import subprocess

import pytest

from tests.repo.source import ROOT

# Written in pieces, so that this file obeys its own rule.
PLACES = re.compile(r"(?<![\w.}$-])/(?:" + "work|root|home|Users" + r")/\w")
HOSTS = re.compile(
    r"\b(?:registry\.|files\.python" r"hosted|pypi\.org/sim" r"ple|npmjs\.(?:org|com))"
)
BINARY = {".png", ".ico", ".woff2", ".gz", ".sqlite3"}


def tracked() -> list[str]:
    out = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return [name for name in out.stdout.split("\0") if name]


def offences(text: str) -> list[str]:
    if not (PLACES.search(text) or HOSTS.search(text)):
        return []
    return [
        f"{number}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), 1)
        if PLACES.search(line) or HOSTS.search(line)
    ]


def test_tracked_files_name_no_machine_and_no_registry() -> None:
    bad: list[str] = []
    for name in tracked():
        path = ROOT / name
        if path.suffix in BINARY or not path.is_file():
            continue
        bad += [f"{name}:{o}" for o in offences(path.read_text(encoding="utf-8", errors="replace"))]
    assert bad == []


@pytest.mark.parametrize("place", ["work", "root", "home"])
def test_a_path_is_seen(place: str) -> None:
    assert offences(f"see /{place}/x")
    assert not offences(f"see docs/{place}/x and $HOME/x")
