"""The page of the command line, from the commands themselves: the only place that writes it."""

from collections.abc import Iterator

import click

from stepwell.cli.main import main

_HEAD = """# Command line

`stepwell VERB --help` prints the same. The flags of `dev` and `start` are in
[Server, settings and limits](../server.md#settings).
"""
_FULL_ELSEWHERE = {"dev", "start"}


def page() -> str:
    """The whole page, a section for each verb."""
    return "\n".join([_HEAD, *_sections(main, "stepwell", 2)])


def _sections(group: click.Group, name: str, depth: int) -> Iterator[str]:
    context = click.Context(group, info_name=name)
    for verb in group.list_commands(context):
        command = group.get_command(context, verb)
        if command is None:
            continue
        words = f"{name} {verb}"
        yield f"{'#' * depth} {words}\n"
        yield from _told(command, words, is_short=verb in _FULL_ELSEWHERE)
        if isinstance(command, click.Group):
            yield from _sections(command, words, depth + 1)


def _told(command: click.Command, words: str, *, is_short: bool) -> Iterator[str]:
    context = click.Context(command, info_name=words)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{words} {usage}\n```\n"
    yield "\n\n".join(_plain(part) for part in (command.help or "").split("\n\n")) + "\n"
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options and not is_short:
        yield "| Option | What it does |\n|---|---|"
        yield "\n".join(_row(option, context) for option in options) + "\n"


def _row(option: click.Option, context: click.Context) -> str:
    shown, meaning = option.get_help_record(context) or (option.opts[0], "")
    return f"| `{shown}` | {_plain(meaning)} |"


def _plain(text: str) -> str:
    """One line, in which no bracket begins a link."""
    return " ".join(text.replace("\b", "").split()).replace("[", "\\[").replace("|", "\\|")
