"""Builds the documentation site from docs/ into build/site.

python -m tools.docs_site  # strictly: a link or a heading that is not there ends it

The pages are also a book on their own, as Markdown; what only the site needs is done here. Beside
each page lies its source (`…/index.md`), and `llms.txt` lists them all, for programs that read.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

from tools import command_page

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "zensical.toml"
DOCS, BUILD = ROOT / "docs", ROOT / "build"
PAGES, SITE = BUILD / "docs", BUILD / "site"
ICON = ROOT / "dashboard/public/icon.svg"
# A label of ours behind the language of a block: what the tests do with it.
LABEL = re.compile(r"^```(python|output)\b.*$", re.MULTILINE)
OBJECT = re.compile(r"^::: (\S+)\n(?:    .*\n)*", re.MULTILINE)


def main() -> int:
    """Makes the sources, builds, and puts the twins beside the pages."""
    prepare()
    words = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(CONFIG)]
    env = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        told = done.stdout + done.stderr.partition("Traceback")[0]
        sys.stderr.write(f"{told}the site was not built\n")
        return 1
    add_twins()
    sys.stdout.write(f"{sum(1 for _ in nav())} pages in {SITE.relative_to(ROOT)}\n")
    return 0


def prepare() -> None:
    """The pages as the site's builder reads them."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(DOCS, PAGES)
    for page in PAGES.rglob("*.md"):
        page.write_text(labelled(page.read_text(encoding="utf-8")), encoding="utf-8")
    (PAGES / "reference/command-line.md").write_text(command_page.page(), encoding="utf-8")
    shutil.copy(ROOT / "CHANGELOG.md", PAGES / "changelog.md")
    shutil.copy(ICON, PAGES / "icon.svg")


def labelled(text: str) -> str:
    """A page whose blocks of code bear a language alone, and whose links stay in the site."""
    text = re.sub(r"\]\(((?:\.\./)*)\.\./CHANGELOG\.md", r"](\1changelog.md", text)
    return LABEL.sub(lambda m: "```python" if m.group(1) == "python" else "```text", text)


def nav() -> Iterator[tuple[str, str, Path]]:
    """Section, title and source of every page, in the order of reading."""
    sections: list[dict[str, Any]] = tomllib.loads(CONFIG.read_text("utf-8"))["project"]["nav"]
    for section in sections:
        for name, pages in section.items():
            if isinstance(pages, str):
                yield name, name, PAGES / pages
                continue
            for page in pages:
                yield from ((name, title, PAGES / path) for title, path in page.items())


def add_twins() -> None:
    """The source of each page beside it, and the list of all."""
    loader = griffe.GriffeLoader(search_paths=[ROOT], allow_inspection=False)
    loader.load("stepwell")
    objects = loader.modules_collection
    for page in PAGES.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        told = OBJECT.sub(lambda m: "\n".join(_described(objects[m.group(1)], m.group(1))), text)
        twin(page).write_text(told, encoding="utf-8")
    (SITE / "llms.txt").write_text("\n".join(listing()) + "\n", encoding="utf-8")


def twin(page: Path) -> Path:
    """Where the source of a page lies in the site: in the folder that is its address."""
    path = page.relative_to(PAGES)
    if path.stem not in {"index", "README"}:
        path = path.with_suffix("") / "index.md"
    return SITE / path.with_name("index.md")


def listing() -> Iterator[str]:
    """The lines of llms.txt: what this is, then each page with its first sentence."""
    project = tomllib.loads(CONFIG.read_text("utf-8"))["project"]
    yield f"# {project['site_name']}\n\n> {project['site_description']}"
    last = ""
    for section, title, page in nav():
        if section != last:
            yield f"\n## {section}\n"
            last = section
        address = twin(page).relative_to(SITE)
        yield f"- [{title}]({address}): {first_sentence(page.read_text(encoding='utf-8'))}"


def first_sentence(text: str) -> str:
    """What a page says first under its title."""
    paragraphs = (p.strip() for p in text.split("\n\n") if not p.lstrip().startswith("#"))
    first = " ".join(next(paragraphs, "").split())
    return re.split(r"(?<=\.)\s", first, maxsplit=1)[0]


def _described(told: Any, name: str, depth: int = 2) -> Iterator[str]:
    """What is said of an object, where the page only names it (`::: name`)."""
    told = told.final_target if told.is_alias else told
    shown = told.signature() if told.is_function else name
    yield f"{'#' * depth} {shown}\n"
    if told.docstring:
        yield told.docstring.value + "\n"
    if told.is_class:
        for member, inside in told.members.items():
            if not member.startswith("_") and not inside.is_alias and inside.docstring:
                yield from _described(inside, member, depth + 1)


if __name__ == "__main__":
    sys.exit(main())
