"""What `stepwell dev` and the process of its functions tell each other."""

import msgspec

from stepwell.cli.log_choice import LogChoice


class ServedAt(msgspec.Struct, frozen=True):
    """Where a target is served: its whole URL, or only its origin where the path is the app's."""

    target: str
    url: str = ""
    origin: str = ""
    functions: int = 0


class Report(msgspec.Struct, frozen=True):
    """What the child tells its parent. `problem` says why nothing is served; `misnamed`, that what
    was named is not there, which no change of a file will mend."""

    served: tuple[ServedAt, ...] = ()
    files: tuple[str, ...] = ()
    problem: str = ""
    misnamed: bool = False


class Order(msgspec.Struct, frozen=True):
    """What the parent asks of the child."""

    targets: tuple[str, ...]
    folder: str
    report: str
    log: LogChoice = LogChoice()
