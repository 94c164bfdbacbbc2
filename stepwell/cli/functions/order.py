"""What `stepwell dev` and the process of its functions tell each other."""

from collections.abc import Mapping

import msgspec

from stepwell.cli.changes import Stamp
from stepwell.cli.log_choice import LogChoice


class ServedAt(msgspec.Struct, frozen=True):
    """Where a target is served: its whole URL, or only its origin where the path is the app's."""

    target: str
    url: str = ""
    origin: str = ""
    functions: int = 0


class Report(msgspec.Struct, frozen=True):
    """What the child tells its parent. `files` are what it read, as it was then; `problem` says why
    nothing is served; `misnamed`, that what was named is not there, which no change of a file will
    mend."""

    served: tuple[ServedAt, ...] = ()
    files: Mapping[str, Stamp] = {}
    problem: str = ""
    misnamed: bool = False


class Order(msgspec.Struct, frozen=True):
    """What the parent asks of the child."""

    targets: tuple[str, ...]
    folder: str
    report: str
    log: LogChoice = LogChoice()
