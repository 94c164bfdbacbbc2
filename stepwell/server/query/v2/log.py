"""Lines that a run's function wrote, as the API, the command line and the test kit show them."""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.name.lines import Lines, lines_named
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.query.v2.run import InstantV2
from stepwell.wire.duration import format_instant
from stepwell.wire.log import KeptLine


class LogLineV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A line of the log: when and in which step it was written, if in one; `attempt` counts from
    0."""

    at: InstantV2
    level: str
    text: str
    step_id: str = ""
    step_name: str = ""
    attempt: int = 0


class RunLineV2(LogLineV2, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A line of the log of one of many runs."""

    run_id: str


class _Row(msgspec.Struct):
    lines: tuple[KeptLine, ...]


_ROW = msgspec.json.Decoder(_Row)


def kept_lines(rows: Iterable[Annotation]) -> list[KeptLine]:
    """The lines among what is said of a run, in the order in which they were kept."""
    found = sorted((row.name, row.body) for row in rows if row.kind is AnnotationKind.LOG)
    return [line for _, body in found for line in _ROW.decode(body).lines]


def lines_by_run(names: Iterable[str]) -> dict[str, list[Lines]]:
    """Which lines are meant by these names, for each run."""
    found: dict[str, list[Lines]] = {}
    for lines in map(lines_named, names):
        found.setdefault(lines.run_id, []).append(lines)
    return found


def run_lines_v2(rows: Iterable[Annotation], wanted: Iterable[Lines]) -> list[RunLineV2]:
    """Those of a run's lines, as they are shown."""
    kept = logs_v2(rows)
    return [
        RunLineV2(run_id=lines.run_id, **msgspec.structs.asdict(line))
        for lines in wanted
        for line in kept[lines.first : lines.end]
    ]


def logs_v2(rows: Iterable[Annotation]) -> list[LogLineV2]:
    """The same as they are shown."""
    return [
        LogLineV2(
            at=format_instant(line.at // 1000),
            level=line.level,
            text=line.text,
            step_id=line.step,
            step_name=line.name,
            attempt=line.attempt,
        )
        for line in kept_lines(rows)
    ]
