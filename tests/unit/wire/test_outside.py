"""JSON that is nested deeper than anybody needs is refused wherever it comes in."""

import msgspec
import pytest

from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.probing import is_dev_server
from stepwell.sdk.send.delivery import read_answer
from stepwell.sdk.value.failure import is_serialized_error
from stepwell.server.gateway.call import place_in
from stepwell.wire.canonical import canonical
from stepwell.wire.checkpoint import decode_outcomes, decoding_checkpoint, splitting_group
from stepwell.wire.event import decode_events
from stepwell.wire.event_session import SessionError, normal_meta
from stepwell.wire.execution import MalformedCall, decode_batch, decode_steps
from stepwell.wire.failure import decode_failure
from stepwell.wire.function_config import MalformedFunction, decode_function
from stepwell.wire.long_json import done
from stepwell.wire.operation import MalformedOperation
from stepwell.wire.operation_decode import decode_operations
from stepwell.wire.outside import DEPTH_MAX, TooDeep, check_depth, decode
from stepwell.wire.registration import (
    MalformedRegistration,
    RegisterProblem,
    decode_register_answer,
    decode_registration,
    fields_of_answer,
)

ANY = msgspec.json.Decoder[object]()


def lists(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "text",
    [
        lists(DEPTH_MAX),
        b"[" + b"[]," * 1_000 + b"1]",
        b'["' + b"[" * 1_000 + b'"]',
        b'["\\"' + b"[" * 1_000 + b'"]',
        b'["\\\\",' + lists(100) + b',"' + b"{" * 1_000 + b'"]',
        b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1),
    ],
)
def test_what_is_allowed(text: bytes) -> None:
    decode(text, ANY)


@pytest.mark.parametrize(
    "text",
    [
        lists(DEPTH_MAX + 1),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'["\\\\",' + b"[" * 1_000,
        b"[" + b"[]," * 100_000 + lists(1_000) + b"]",
    ],
)
def test_what_is_not(text: bytes) -> None:
    with pytest.raises(TooDeep, match="nested more than 250 levels deep: flatten it"):
        decode(text, ANY)
    with pytest.raises(TooDeep):
        check_depth(msgspec.Raw(text))


DEEP = lists(100_000)


@pytest.mark.parametrize("deep", [DEEP, lists(DEPTH_MAX + 1), b'{"a":' * 100_000])
def test_every_reader_of_what_comes_from_outside(deep: bytes) -> None:
    with pytest.raises(ValueError, match="nested"):
        canonical(deep)
    with pytest.raises(msgspec.DecodeError):
        done(decoding_checkpoint(b'{"run_id": "r", "steps": ' + deep + b"}"))
    with pytest.raises(msgspec.DecodeError):
        done(splitting_group(b"[" + deep + b"]"))
    with pytest.raises(MalformedOperation, match="nested"):
        decode_operations(b'[{"id": "a", "op": "StepRun", "data": ' + deep + b"}]")
    with pytest.raises(MalformedFunction):
        decode_function(b'{"id": ' + deep + b"}")
    with pytest.raises(MalformedRegistration):
        decode_registration(b'{"functions": ' + deep + b"}")
    with pytest.raises((SessionError, ValueError)):
        normal_meta(msgspec.Raw(b'{"sessions": ' + deep[:30_000] + b"}"))
    assert place_in(b'{"stepwell": ' + deep + b"}") is None
    assert decode_failure(b'{"message": ' + deep + b"}").message
    decoded = decode_events(
        b'[{"name": "a"}, {"name": "b", "data": {"x": ' + deep + b"}}]", None, 1
    )
    assert [event.name for event in decoded.events] == ["a"]
    assert decoded.problem is not None and "nested" in decoded.problem.told


@pytest.mark.parametrize("deep", [b'{"x": ' + DEEP, DEEP, b'{"x": ' * 100_000])
def test_every_reader_of_what_a_server_answers(deep: bytes) -> None:
    with pytest.raises(MalformedCall, match="nested"):
        decode_steps(deep)
    with pytest.raises(MalformedCall, match="nested"):
        decode_batch(deep)
    with pytest.raises(msgspec.DecodeError):
        decode_outcomes(deep)
    assert fields_of_answer(deep) == {}
    assert isinstance(decode_register_answer(deep), RegisterProblem)
    reply = HttpReply(200, {}, deep)
    assert read_answer(reply).error
    assert not is_dev_server(reply)
    assert not is_serialized_error(deep.decode())
