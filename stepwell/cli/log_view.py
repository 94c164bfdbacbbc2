"""The lines that a run's function wrote, on a terminal: when, how grave, in which step, what."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from stepwell.cli.output import plain
from stepwell.server.query.v2.log import LogLineV2

_COLOURS = {"info": "cyan", "warning": "yellow", "error": "red", "critical": "red"}


def show_lines(to: Console, lines: Iterable[LogLineV2]) -> None:
    """Print each line, as it was written."""
    is_empty = True
    for line in lines:
        is_empty = False
        told = Text(f"{line.at} ", style="dim")
        told.append(plain(f"{line.level:8}"), style=_COLOURS.get(line.level, ""))
        if line.step_name:
            told.append(plain(f"[{line.step_name}] "), style="bold")
        if line.attempt:
            told.append(f"(attempt {line.attempt + 1}) ", style="dim")
        told.append(plain(line.text), style="default")
        to.print(told, soft_wrap=True)
    if is_empty:
        to.print("The function wrote no lines with ctx.logger, or none that are kept.")
