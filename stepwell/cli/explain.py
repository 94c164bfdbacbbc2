"""`stepwell explain`: what the code of an error or a warning means, from the page of errors."""

import re
from difflib import get_close_matches
from pathlib import Path

import click

_PAGE = Path(__file__).with_name("errors.md")
_PAGE_IN_CHECKOUT = Path(__file__).parents[2] / "docs" / "errors.md"
_SECTION = re.compile(r"^## (\S+)\n\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)


@click.command("explain")
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Tell what CODE means and what to do, such as `event_key_unspecified`; else list the codes."""
    sections = _sections()
    if code is None:
        click.echo("\n".join(sections))
        return
    by_name = {name.lower(): text for name, text in sections.items()}
    text = by_name.get(code.strip().lower().replace("-", "_"))
    if text is None:
        near = get_close_matches(code.lower(), by_name, 1)
        said = f"did you mean {near[0]}?" if near else "`stepwell explain` alone lists all codes"
        raise click.ClickException(f"there is no code {code!r}: {said}")
    click.echo(text.strip())


def _sections() -> dict[str, str]:
    """The page's sections by code, in its order."""
    page = _PAGE if _PAGE.is_file() else _PAGE_IN_CHECKOUT
    return dict(_SECTION.findall(page.read_text(encoding="utf-8")))
