"""`stepwell lint`: mistakes with steps that can be seen in the source."""

import os
import tokenize
from collections.abc import Iterator
from pathlib import Path

import click

from stepwell.lint.problems import problems_in


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def lint(paths: tuple[Path, ...]) -> None:
    """Look for mistakes with steps in the Python files of PATHS, or of the current folder.

    Told are, with file, line and column: SW101, a step or send that is not awaited; SW102, a step
    inside a step; SW103, a variable that is changed inside a step. `# noqa: SW103` at the end of a
    line leaves it out. Ends with 1 if something was found.
    """
    files = sorted({file for path in paths or (Path(),) for file in _files(path)})
    told = [f"{file}:{line}" for file in files for line in _told(file)]
    if told:
        click.echo("\n".join(told))
        raise click.exceptions.Exit(1)
    click.echo(f"nothing found in {len(files)} file{'' if len(files) == 1 else 's'}", err=True)


def _files(path: Path) -> Iterator[Path]:
    """The Python files below a folder, those of environments and hidden folders left out."""
    if not path.is_dir():
        yield path
        return
    for folder, below, names in os.walk(path):  # which follows no links: they may lead back
        here = Path(folder)
        below[:] = [name for name in below if _is_looked_into(here / name)]
        python = (here / name for name in names if name.endswith(".py"))
        yield from filter(Path.is_file, python)  # editors leave links to nowhere


def _is_looked_into(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name == "node_modules"
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _told(path: Path) -> Iterator[str]:
    try:
        with tokenize.open(path) as file:  # in the encoding that the file says
            problems = problems_in(file.read())
    except SyntaxError as error:
        yield f"{error.lineno or 1}:{error.offset or 1}: not Python: {error.msg}"
    except (OSError, ValueError) as error:
        yield f"1:1: cannot be read: {error}"
    except (MemoryError, RecursionError):  # Python's parser says either
        yield "1:1: cannot be read: it is nested too deeply"
    else:
        for one in problems:
            yield f"{one.line}:{one.column + 1}: {one.code} {one.message}"
