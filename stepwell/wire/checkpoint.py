"""A checkpoint as it travels: steps that a call finished and goes on after.

Several of different runs may travel in one request, which is ours: a server that knows nothing of
it refuses, and they are sent one by one.
"""

from typing import Final

import msgspec

from stepwell.wire.long_json import (
    AT_ONCE_BYTES,
    WITH_OTHERS_BYTES,
    Turns,
    decoding,
    pieces_of_list,
)
from stepwell.wire.outside import decode

GROUP_PATH: Final = "/v1/checkpoint/group"
"""Where a list of checkpoints is posted. The answer lists an outcome for each, in their order."""
GROUP_MAX: Final = 100
"""How many checkpoints one request may hold."""
GROUP_BYTES_MAX: Final = 1024 * 1024
"""How many bytes they may have together; a larger one travels alone."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Finished steps of one call; the ids are those of its `ctx`. Unknown fields are dropped."""

    run_id: str = ""
    fn_id: str = ""
    qi_id: str = ""
    request_id: str = ""
    generation_id: int = 0
    request_started_at: int = 0
    ts: int = 0
    steps: msgspec.Raw = msgspec.Raw(b"[]")


class CheckpointOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one of a group: the status it would have had alone, and why."""

    status: int
    error: str = ""


def path_of(run_id: str) -> str:
    """Where a checkpoint of a run is posted."""
    return f"/v1/checkpoint/{run_id}/async"


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Checkpoint)
_GROUP = msgspec.json.Decoder(list[msgspec.Raw])
_OUTCOMES = msgspec.json.Decoder(list[CheckpointOutcome])


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The body of a request with one checkpoint."""
    return _ENCODER.encode(checkpoint)


def decoding_checkpoint(body: bytes | msgspec.Raw) -> Turns[Checkpoint]:
    """With pauses, if it is long. Raises msgspec.DecodeError, UnicodeDecodeError or ValueError for
    anything else."""
    return decoding(bytes(body), _DECODER)


def join_group(bodies: list[bytes]) -> bytes:
    """The body of a request with several checkpoints, each encoded already."""
    return b"[" + b",".join(bodies) + b"]"


def splitting_group(body: bytes) -> Turns[list[msgspec.Raw]]:
    """The checkpoints of a request, still encoded, no more than one too many. Raises like
    `decoding_checkpoint`, and ValueError."""
    if len(body) > WITH_OTHERS_BYTES:
        yield
    if len(body) <= AT_ONCE_BYTES:
        return decode(body, _GROUP)
    found: list[msgspec.Raw] = []
    for piece in (yield from pieces_of_list(body)):
        found += _GROUP.decode(piece)
        if len(found) > GROUP_MAX:
            break
        yield
    return found


def encode_outcomes(outcomes: list[CheckpointOutcome]) -> bytes:
    """The answer to a group."""
    return _ENCODER.encode(outcomes)


def decode_outcomes(body: bytes) -> list[CheckpointOutcome]:
    """Raises msgspec.DecodeError or UnicodeDecodeError for anything else."""
    return decode(body, _OUTCOMES)
