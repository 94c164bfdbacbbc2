"""`stepwell new`: writes a small project: a function, its test, a page that says how to run it."""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

TEMPLATES = ("worker", "embedded", "fastapi", "flask", "django")
_SUFFIX = ".template"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RUN = "run.md"
_NAMED_OTHERWISE = {"gitignore": ".gitignore"}


def project(name: str, template: str) -> Mapping[str, str]:
    """The files of a new project, by their names."""
    found = {**_files("common"), **_files(template)}
    run = Template(found.pop(_RUN)).substitute(app=name)
    return {
        _NAMED_OTHERWISE.get(file, file): Template(text).substitute(app=name, run=run.strip())
        for file, text in sorted(found.items())
    }


def _files(folder: str) -> dict[str, str]:
    place: Traversable = files("stepwell.cli") / "templates" / folder
    return {
        each.name.removesuffix(_SUFFIX): each.read_text(encoding="utf-8")
        for each in place.iterdir()
        if each.name.endswith(_SUFFIX)
    }


@click.command("new")
@click.argument("name")
@click.option(
    "--template",
    type=click.Choice(TEMPLATES),
    default=TEMPLATES[0],
    show_default=True,
    help="What the functions are part of.",
)
def new(name: str, template: str) -> None:
    """Write a small project into a folder of that name.

    It has a function, its test and a README that says how to run it: as a worker, with the engine
    inside a program, or in a web application. NAME becomes the id of the app.
    """
    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            f"{name!r}: use small letters, digits and single hyphens, such as my-shop",
            param_hint="NAME",
        )
    folder = Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.ClickException(f"{folder} is there already: give another name, or empty it")
    folder.mkdir(exist_ok=True)
    for file, text in project(name, template).items():
        (folder / file).write_text(text, encoding="utf-8")
    click.echo(f"{folder} is ready: its README.md says how to run it")
