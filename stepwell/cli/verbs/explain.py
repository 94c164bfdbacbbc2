"""`stepwell explain`: what the code of an error or a warning means, from the page of errors."""

import re
from difflib import get_close_matches
from pathlib import Path

import click

_PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
_PAGE_IN_CHECKOUT = Path(__file__).parents[3] / "docs" / "errors.md"
_NAMES = "# Names a server gives\n"
_ROW = re.compile(r"^\| (`[^|]*`) \| (.*) \|$", re.MULTILINE)
_SECTION = re.compile(r"^## (\S+)\n\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)


@click.command("explain")
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Tell what CODE means and what to do, such as `event_key_unspecified`; else list the codes.

    CODE may be a name that the server gives to an error, such as WorkerLost.
    """
    page = (_PAGE if _PAGE.is_file() else _PAGE_IN_CHECKOUT).read_text(encoding="utf-8")
    sections = dict(_SECTION.findall(page))
    if code is None:
        click.echo("\n".join(sections))
        return
    by_name = {name.lower(): text for name, text in {**_names(page), **sections}.items()}
    text = by_name.get(code.strip().lower().replace("-", "_"))
    if text is None:
        near = get_close_matches(code.lower(), by_name, 1)
        said = f"did you mean {near[0]}?" if near else "`stepwell explain` alone lists all codes"
        raise click.ClickException(f"there is no code {code!r}: {said}")
    click.echo(text.strip())


def _names(page: str) -> dict[str, str]:
    """What each name means that a server gives, from the table of them."""
    _, _, table = page.partition(_NAMES)
    return {
        name: f"{names}. {meaning[0].upper()}{meaning[1:]}."
        for names, meaning in _ROW.findall(table)
        for name in re.findall(r"`([^`]+)`", names)
    }
