"""A run that is written to a file and read again is the same, to the byte."""

import msgspec
import pytest

from stepwell.wire.recorded_run import (
    NotRecorded,
    RecordedAttempt,
    RecordedRun,
    RecordedStep,
    RecordedWait,
    decode_recorded,
    encode_recorded,
)

RUN = RecordedRun(
    id="01JQDAE4RQ0000000000000001",
    function="shop-order",
    app="shop",
    status="Running",
    queued_ms=1,
    edited={"abc": msgspec.Raw(b"[1]")},
    events=(msgspec.Raw(b'{"data":{"n":12345678901234567890},"name":"shop/order"}'),),
    steps=(RecordedStep(id="a", name="pay", op="StepRun", memo=msgspec.Raw(b'{"data":1.0}')),),
    attempts=(
        RecordedAttempt(
            step="a", name="pay", attempt=0, at_ms=2, error=msgspec.Raw(b'{"message":"x"}')
        ),
    ),
    waits=(RecordedWait(id="b", name="answer"),),
    output=msgspec.Raw(b'{"a":[1,2]}'),
)


def test_what_is_read_is_what_was_written() -> None:
    text = encode_recorded(RUN)
    assert b'\n  "function": "shop-order",\n' in text  # for people
    assert decode_recorded(text) == RUN


def test_a_run_without_events_is_refused() -> None:
    text = encode_recorded(msgspec.structs.replace(RUN, events=()))
    with pytest.raises(NotRecorded, match='its "events" are empty'):
        decode_recorded(text)
