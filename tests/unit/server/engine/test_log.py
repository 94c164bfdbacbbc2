"""Lines of a function's log are kept with its run: once, in the commit of what they came with."""

import msgspec

from stepwell.server.engine.life.log import FULL, ROW_BYTES
from stepwell.server.engine.message.input import (
    Done,
    LinesWritten,
    Outcome,
    RunAnnotated,
    Verdict,
)
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind, AnnotationUpdate
from stepwell.server.query.v2.log import kept_lines
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.limit import METADATA_RUN_BYTES_MAX
from stepwell.wire.log import RUN_BYTES_MAX, KeptLine, LogLine
from stepwell.wire.operation import Logs, RunComplete
from tests.bench import Bench, function, given_, progressed, step_run


def begun(retries: int = 0) -> Bench:
    bench = Bench()
    bench.begin(function(event="go", retries=retries))
    return bench


def lines_of(bench: Bench) -> list[KeptLine]:
    (run,) = bench.runs()
    return kept_lines(bench.reader.annotations(run.id))


def logs(*texts: str, at: int = 1) -> Logs:
    return Logs(lines=tuple(LogLine(at, "info", text) for text in texts))


def failed(*texts: str, at: int = 1) -> Outcome:
    failure = Failure("ValueError", "no")
    return given_.Broke(failure, encode_failure(failure), 0, logs=logs(*texts, at=at).lines)


def test_lines_come_with_a_step_and_with_the_end() -> None:
    bench = begun()
    bench.answer(progressed(step_run("a"), logs("begun", 'a "quoted" line')))
    assert [record for record in bench.records if "AnnotationPut" in type(record).__name__]
    run = bench.answer(progressed(RunComplete(data=msgspec.Raw(b"1")), logs("over")))
    assert run.output == b"1"
    texts = [(line.text, line.attempt) for line in lines_of(bench)]
    assert texts == [("begun", 0), ('a "quoted" line', 0), ("over", 0)]


def test_lines_before_an_error_are_kept_by_attempt() -> None:
    bench = begun(retries=1)
    bench.answer(failed("tries", at=1))
    bench.pass_time(3_600_000)
    run = bench.answer(failed("tries", at=2))
    assert run.ended
    assert [(one.text, one.attempt) for one in lines_of(bench)] == [("tries", 0), ("tries", 1)]


def test_what_is_told_again_is_kept_once() -> None:
    bench = begun()
    bench.answer(progressed(step_run("a"), logs("one", "two")))
    bench.answer(progressed(step_run("b"), logs("two", "three")))
    assert [line.text for line in lines_of(bench)] == ["one", "two", "three"]


def test_lines_may_come_after_the_end() -> None:
    bench = begun()
    run = bench.answer(progressed(RunComplete(data=msgspec.Raw(b"1")), logs("one")))
    late = LinesWritten(run.id, logs("one", "late").lines)
    for _ in range(2):  # its answer was lost, and it comes again
        assert bench.submit(late) == Done(Verdict.APPLIED, run.id)
    assert [line.text for line in lines_of(bench)] == ["one", "late"]
    gone = bench.submit(LinesWritten("nobody", late.lines))
    assert isinstance(gone, Done)
    assert gone.verdict is Verdict.GONE


def test_a_run_keeps_so_many_bytes_and_says_so_once() -> None:
    bench = begun()
    for number in range(100):
        long = tuple(f"{number} {place} " + "x" * 3_900 for place in range(4))
        bench.answer(progressed(step_run(f"s{number}"), logs(*long)))
    found = lines_of(bench)
    assert [line.text for line in found].count(FULL) == 1
    assert found[-1].text == FULL
    (run,) = bench.runs()
    rows = bench.reader.annotations(run.id)
    assert RUN_BYTES_MAX < sum(len(row.body) for row in rows) < RUN_BYTES_MAX + 2 * 4_096
    assert max(len(row.body) for row in rows) < ROW_BYTES + 4_200
    assert len(rows) <= RUN_BYTES_MAX // ROW_BYTES + 1


def test_they_take_no_room_from_metadata() -> None:
    bench = begun()
    for number in range(80):
        bench.answer(progressed(step_run(f"s{number}"), logs(f"{number}" + "x" * 3_900)))
    (run,) = bench.runs()
    body = b'{"a":"%b"}' % (b"x" * 60_000)
    rows = [
        AnnotationUpdate(
            Annotation(run.id, AnnotationKind.METADATA, "", "", f"userland.{n}", 1, body), "set"
        )
        for n in range(METADATA_RUN_BYTES_MAX // len(body))
    ]
    bench.submit(RunAnnotated(run.id, tuple(rows)))
    kinds = [row.kind for row in bench.reader.annotations(run.id)]
    assert kinds.count(AnnotationKind.METADATA) == len(rows)


def test_a_call_that_only_writes_is_still_known_to_stall() -> None:
    with_lines, without = begun(), begun()
    for bench, more in ((with_lines, (logs("again"),)), (without, ())):
        bench.answer(progressed(step_run("a")))
        bench.answer(progressed(step_run("a"), *more))
    assert with_lines.next_due_ms == without.next_due_ms
