"""Tests the package under each Python, with the highest and the lowest versions of what it needs.

python -m tools.matrix [--highest] [--lowest] [PYTHON ...] [-- arguments of pytest]

Without a Python: each from 3.11 on that is found on PATH. Without a choice of versions: the highest
for each Python, and the lowest for the oldest of them, since old versions have no builds for new
Pythons. Each pair has an environment of its own in .matrix, made by uv.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
MATRIX = ROOT / ".matrix"
MINORS = range(11, 15)
SUITES = (
    *("tests/unit", "tests/embedded", "tests/events", "tests/serving"),
    "tests/end_to_end/platform_runtimes.py",
)
# The runtimes of platforms, which need a newer Python than the oldest of ours.
RUNTIMES = (
    "vercel-runtime>=0.24 ; python_version >= '3.12'",
    "azure-functions-runtime>=1.3 ; python_version >= '3.13'",
)
# What test tools ask for is overruled where our lowest is lower, but for these: the frameworks of
# the tests are made of them, so older frameworks are taken.
FOUNDATIONS = frozenset({"pydantic", "starlette"})

Versions = Literal["highest", "lowest"]


@dataclass(frozen=True)
class Pair:
    """One Python with one choice of versions."""

    python: str
    release: str
    versions: Versions

    @property
    def name(self) -> str:
        return f"{self.release}-{self.versions}"

    @property
    def environment(self) -> Path:
        return MATRIX / self.name


def main() -> int:
    """Run every pair, and say at the end how each of them went."""
    words, told = _parted(sys.argv[1:])
    parser = argparse.ArgumentParser(prog="scripts/matrix")
    parser.add_argument("python", nargs="*", help="names on PATH, or paths; default: all found")
    parser.add_argument("--highest", action="store_true", help="the highest versions allowed")
    parser.add_argument("--lowest", action="store_true", help="the lowest versions allowed")
    wanted = parser.parse_args(words)
    pairs = _pairs(wanted.python, highest=wanted.highest, lowest=wanted.lowest)
    uv = _uv()
    lines: list[str] = []
    for pair in pairs:
        began = time.monotonic()
        went = "ok" if _made(uv, pair) and _tested(pair, told) else "FAILED"
        lines.append(f"{went:7} {pair.name:14} {time.monotonic() - began:5.0f} s")
    sys.stdout.write("\n".join(lines) + "\n")
    return any(line.startswith("FAILED") for line in lines)


def _parted(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def _pairs(named: Sequence[str], *, highest: bool, lowest: bool) -> list[Pair]:
    names = named or [name for minor in MINORS if shutil.which(name := f"python3.{minor}")]
    pythons = {_release(path): path for path in map(_found, names)}
    if not pythons:
        sys.exit("no Python from 3.11 on is on PATH: name one, e.g. scripts/matrix /opt/python3.14")
    releases = sorted(pythons, key=lambda release: int(release.partition(".")[2]))
    made = [Pair(pythons[release], release, "highest") for release in releases]
    low = [Pair(pythons[release], release, "lowest") for release in releases]
    if not (highest or lowest):
        return [*made, low[0]]
    return [*(made if highest else ()), *(low if lowest else ())]


def _found(name: str) -> str:
    return shutil.which(name) or sys.exit(f"there is no {name}: name a Python on PATH, or its path")


def _release(python: str) -> str:
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    release = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603
    return release.stdout.strip()


def _uv() -> str:
    """The program that makes the environments, in one of its own."""
    folder = MATRIX / "uv"
    if not (folder / "bin/uv").exists():
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "uv")
    return str(folder / "bin/uv")


def _made(uv: str, pair: Pair) -> bool:
    """Bring the environment of a pair up to date."""
    python = str(pair.environment / "bin/python")
    if not Path(python).exists():
        _run(uv, "venv", "--quiet", "--python", pair.python, str(pair.environment))
    extras = [*_project()["optional-dependencies"]]
    install = [uv, "pip", "install", "--quiet", "--upgrade", "--python", python]
    limits = _lowest(uv, pair) if pair.versions == "lowest" else ()
    told = subprocess.run(  # noqa: S603
        [*install, "-e", f".[{','.join(extras)}]", *RUNTIMES, *limits], cwd=ROOT, check=False
    )
    return told.returncode == 0


def _lowest(uv: str, pair: Pair) -> list[str]:
    """Options of uv that hold everything we ask for at the lowest version that we allow."""
    chosen = [name for name in _project()["optional-dependencies"] if name != "dev"]
    asked = [word for name in chosen for word in ("--extra", name)]
    printed = _run(
        *(uv, "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--python"),
        *(pair.python, "--no-header", "--no-annotate", *asked, "pyproject.toml"),
    )
    ours = {_name(line) for line in _asked_for(chosen)}
    pins = [line for line in printed.splitlines() if _name(line) in ours]
    held = [line for line in pins if _name(line) in FOUNDATIONS]
    forced = [line for line in pins if _name(line) not in FOUNDATIONS]
    constraints = _written(pair, "constraints", held)
    return [
        "--constraint",
        constraints,
        "--override",
        _written(pair, "overrides", forced),
    ]


def _asked_for(extras: Sequence[str]) -> list[str]:
    project = _project()
    optional = [line for name in extras for line in project["optional-dependencies"][name]]
    return [*project["dependencies"], *optional]


def _project() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement.strip(), maxsplit=1)[0].lower()


def _written(pair: Pair, kind: str, lines: Sequence[str]) -> str:
    # Without their extras: a pin is of the package alone.
    path = MATRIX / f"{pair.name}.{kind}.txt"
    path.write_text("".join(re.sub(r"\[.*?\]", "", line) + "\n" for line in lines), "utf-8")
    return str(path)


def _tested(pair: Pair, told: Sequence[str]) -> bool:
    sys.stdout.write(f"\n== {pair.name}: {pair.python}\n")
    sys.stdout.flush()
    words = [str(pair.environment / "bin/python"), "-m", "pytest", "-p", "no:cacheprovider"]
    # A checkout is tested as the command line has it, whatever the machine's own suite is told.
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run([*words, *(told or ["-n", "2", *SUITES])], cwd=ROOT, env=env, check=False)  # noqa: S603
    return done.returncode == 0


def _run(*words: str) -> str:
    return subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
