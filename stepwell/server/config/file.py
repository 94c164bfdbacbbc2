"""The only place that finds and reads the configuration file.

Keys are the names of the flags. An explicit path must exist; a found file is named in the start-up
table, so that nobody wonders where a value came from.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from stepwell.server.config.value import SettingError, Written

NAMES = (
    "stepwell.json",
    "stepwell.yaml",
    "stepwell.yml",
    "inngest.json",
    "inngest.yaml",
    "inngest.yml",
)


def find_file(explicit: str | None, folder: Path, home: Path) -> Path | None:
    """The configuration file: the explicit one, else the nearest at or above `folder`, else the
    one of the user (`~/.config/stepwell`, `~/.config/inngest`).

    Raises `SettingError` if the explicit one does not exist.
    """
    if explicit:
        path = folder / Path(explicit).expanduser()
        if not path.is_file():
            raise SettingError(f"config: there is no file {path}; correct the path or leave it out")
        return path
    places = [folder, *folder.parents, home / ".config/stepwell", home / ".config/inngest"]
    candidates = (place / name for place in places for name in NAMES)
    return next((path for path in candidates if path.is_file()), None)


def read_file(path: Path) -> Mapping[str, Written]:
    """What a configuration file sets, by flag. Raises `SettingError` if it cannot be read."""
    try:
        raw = path.read_bytes()
        decode = msgspec.json.decode if path.suffix == ".json" else msgspec.yaml.decode
        found = decode(raw, type=dict[str, str | int | float | bool | list[str] | None])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        fix = "it must be an object whose keys are the names of flags"
        raise SettingError(f"config: {path} cannot be read ({error}); {fix}") from None
    return dict(found)
