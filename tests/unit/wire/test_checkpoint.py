"""Checkpoints on the wire: alone, in groups, and what became of them."""

import msgspec
import pytest

from stepwell.wire.checkpoint import (
    GROUP_MAX,
    Checkpoint,
    CheckpointOutcome,
    decode_outcomes,
    decoding_checkpoint,
    encode_checkpoint,
    encode_outcomes,
    join_group,
    path_of,
    splitting_group,
)
from stepwell.wire.long_json import done

ONE = Checkpoint(run_id="r", fn_id="f", qi_id="q", request_id="a", generation_id=2, ts=3)


def test_a_checkpoint_has_the_names_of_the_protocol() -> None:
    assert msgspec.json.decode(encode_checkpoint(ONE)) == {
        "run_id": "r",
        "fn_id": "f",
        "qi_id": "q",
        "request_id": "a",
        "generation_id": 2,
        "request_started_at": 0,
        "ts": 3,
        "steps": [],
    }
    assert path_of("r") == "/v1/checkpoint/r/async"


def test_a_group_is_split_into_what_was_joined() -> None:
    other = msgspec.structs.replace(ONE, run_id="s", steps=msgspec.Raw(b'[{"op":"x"}]'))
    group = join_group([encode_checkpoint(ONE), encode_checkpoint(other)])
    bodies = done(splitting_group(group))
    assert [done(decoding_checkpoint(body)) for body in bodies] == [ONE, other]
    assert done(splitting_group(join_group([]))) == []


def test_a_long_group_is_split_as_a_short_one_is() -> None:
    long = msgspec.structs.replace(ONE, steps=msgspec.Raw(b'[{"op":"' + b"x" * 70_000 + b'"}]'))
    group = join_group([encode_checkpoint(one) for one in (ONE, long, ONE, ONE, long)])
    bodies = done(splitting_group(group))
    assert [done(decoding_checkpoint(body)) for body in bodies] == [ONE, long, ONE, ONE, long]
    many = join_group([encode_checkpoint(ONE)] * 100_000)
    assert GROUP_MAX < len(done(splitting_group(many))) < 1_000


def test_unknown_fields_are_dropped_and_wrong_ones_refused() -> None:
    assert done(decoding_checkpoint(b'{"run_id":"r","later":1}')) == Checkpoint(run_id="r")
    for body in (b'{"run_id":1}', b"[]", b"{", b'"\xff"'):
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
            done(decoding_checkpoint(body))
    with pytest.raises(msgspec.DecodeError):
        done(splitting_group(b"{}"))


def test_outcomes_survive_the_way() -> None:
    outcomes = [CheckpointOutcome(200), CheckpointOutcome(409, "stale")]
    assert decode_outcomes(encode_outcomes(outcomes)) == outcomes
    assert encode_outcomes(outcomes) == b'[{"status":200},{"status":409,"error":"stale"}]'
    with pytest.raises(msgspec.DecodeError):
        decode_outcomes(b"")
