"""Builds the dashboard into the package, so that whoever installs it needs no Node; and has the
pages of the documentation in it, for `stepwell explain` and the tools of agents."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "stepwell/server/dashboard/static/index.html"


class DashboardHook(BuildHookInterface[Any]):
    """Runs before a wheel or an sdist is made; a checkout is built by `scripts/setup`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds from the sources of a checkout; an sdist holds what was built already."""
        root = Path(self.root)
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"] |= _pages(root)
        if version == "editable" or (root / "PKG-INFO").is_file():
            return
        npm = shutil.which("npm")
        if npm is not None and not _is_built(root):
            for words in (["install", "--no-save", "--no-audit", "--no-fund"], ["run", "build"]):
                subprocess.run([npm, *words], cwd=root / "dashboard", check=True)  # noqa: S603
        if not (root / PAGE).is_file():
            raise RuntimeError("the dashboard is not built: install Node 20 or newer and try again")


def _pages(root: Path) -> dict[str, str]:
    """Every page but decisions, which are for who works on Stepwell, by where it is to be."""
    docs = root / "docs"
    found = (path.relative_to(docs) for path in docs.rglob("*.md"))
    return {
        str(docs / path): f"stepwell/docs/{path.as_posix()}"
        for path in found
        if path.parts[0] != "decisions"
    }


def _is_built(root: Path) -> bool:
    """Whether the page is newer than all it is made of, as after `scripts/setup`. Then it is left
    alone: somebody may be reading it."""
    page, sources = root / PAGE, root / "dashboard"
    if not page.is_file():
        return False
    made_of = (
        path
        for path in sources.rglob("*")
        if path.is_file() and "node_modules" not in path.relative_to(sources).parts
    )
    return max(path.stat().st_mtime for path in made_of) < page.stat().st_mtime
