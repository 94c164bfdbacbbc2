"""Prints the table of settings that docs/server.md holds between its two marks.

python -m tools.settings_table          # prints it
python -m tools.settings_table --write  # puts it into the page
"""

import sys
from pathlib import Path

from stepwell.server.config import SDK_VARIABLES, Command, Kind, Setting
from stepwell.server.config.setting import SETTINGS

PAGE = Path(__file__).resolve().parents[1] / "docs/server.md"
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->\n"


def table() -> str:
    """Every setting: its flag, the commands that know it, its default and what it means."""
    lines = ["| Flag | dev | start | Default | Meaning |", "|---|---|---|---|---|"]
    lines += [_row(setting) for setting in SETTINGS]
    return "\n".join(lines) + "\n"


def _row(setting: Setting) -> str:
    short = f", `-{setting.short}`" if setting.short else ""
    more = " (repeat)" if setting.kind is Kind.LIST else ""
    marks = [_mark(setting, command) for command in Command]
    defaults = {_shown(setting, command) for command in setting.commands}
    if len(defaults) == 1:
        default = defaults.pop()
    else:
        default = " / ".join(_shown(setting, command) for command in Command)
    meaning = setting.help.replace("|", "\\|")
    if setting.idle:
        meaning += f". Accepted without effect: {setting.idle}"
    return f"| `--{setting.flag}`{short}{more} | {marks[0]} | {marks[1]} | {default} | {meaning} |"


def _mark(setting: Setting, command: Command) -> str:
    if command not in setting.commands:
        return ""
    return "flag" if command is Command.DEV and setting.flag in SDK_VARIABLES else "✓"


def _shown(setting: Setting, command: Command) -> str:
    value = setting.default_of(command)
    if setting.kind is Kind.SWITCH:
        return "off"
    if value is None or value == ():
        return "–"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {setting.unit}".strip()


def page_with(settings: str) -> str:
    """The page with this table in place of its own."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{settings}{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with(table()), encoding="utf-8")
    else:
        sys.stdout.write(table())
