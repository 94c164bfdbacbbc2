"""What a durable endpoint tells of the request it answers, and what is told of its run."""

from typing import Final

import msgspec

from stepwell.wire.long_json import Turns, decoding, done

HTTP_REQUEST: Final = "inngest/http.request"
"""The event of a run that an HTTP request began."""
NEW_RUN_PATH: Final = "/v1/checkpoint"
OUTPUT_TOPIC: Final = "$output"
"""What a token names that opens the output of one run, whose id is the channel."""
TOKEN_LIFE_S: Final = 3_600
SILENT_MS: Final = 600_000
"""An endpoint that has reported nothing for so long is called."""


def steps_path(run_id: str) -> str:
    """Where an endpoint reports steps of a run."""
    return f"/v1/checkpoint/{run_id}/steps"


def output_path(run_id: str) -> str:
    """Where the output of a run is waited for."""
    return f"/v1/http/runs/{run_id}/output"


class HttpCalled(msgspec.Struct, frozen=True, kw_only=True):
    """The request. `domain` is its origin; `body` is base64; `fn` is the id of the endpoint, if it
    has one."""

    domain: str
    method: str
    path: str
    fn: str = ""
    ip: str = ""
    content_type: str = ""
    query_params: str = ""
    body: str = ""


class _Event(msgspec.Struct, frozen=True):
    data: HttpCalled


_CALLED = msgspec.json.Decoder(_Event)


def decode_called(event: bytes | msgspec.Raw) -> HttpCalled:
    """The request in an event. Raises msgspec.DecodeError or UnicodeDecodeError."""
    return done(decoding_called(bytes(event)))


def decoding_called(event: bytes) -> Turns[HttpCalled]:
    """The same with pauses, if it is long. May raise ValueError."""
    return (yield from decoding(event, _CALLED)).data


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """The first report of an endpoint. Unknown fields are dropped."""

    run_id: str
    event: msgspec.Raw
    steps: msgspec.Raw = msgspec.Raw(b"[]")
    request_version: int = 2
    retries: int | None = None
    ts: int = 0


class MoreSteps(msgspec.Struct, frozen=True, kw_only=True):
    """A further report. Unknown fields are dropped."""

    run_id: str = ""
    fn_id: str = ""
    app_id: str = ""
    steps: msgspec.Raw = msgspec.Raw(b"[]")
    ts: int = 0


class RunBegun(msgspec.Struct, frozen=True):
    """What the first report is answered: tokens for the run's output, and for its stream; and
    whether lines of the log are kept, which is ours."""

    fn_id: str
    app_id: str
    run_id: str
    token: str = ""
    realtime_token: str = ""
    keeps_logs: bool = False


class HttpAnswer(msgspec.Struct, frozen=True):
    """What the run answers in the end: its output."""

    status: int = 200
    headers: dict[str, str] = {}
    body: str = ""
