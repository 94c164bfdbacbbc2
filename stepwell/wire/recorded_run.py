"""A run as it is written to a file: all a function needs to be called again as it was then.

The only place that knows the file's form. It is JSON, made to be kept beside tests and read by
people; nothing in it names the server it comes from.
"""

import msgspec

from stepwell.wire.canonical import canonical
from stepwell.wire.outside import decode

NULL = msgspec.Raw(b"null")
FORMAT = "stepwell-run/1"
"""The first field of a file. A later form has another number."""


class NotRecorded(ValueError):
    """This is no run that was exported. The text says what it is instead."""


class RecordedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step that ended. `id` is hashed, `name` what people call it, `memo` what each later call is
    told, `input` the list of its arguments, if it has any. Times are milliseconds since 1970."""

    id: str
    name: str
    op: str
    memo: msgspec.Raw
    attempt: int = 0
    began_ms: int = 0
    ended_ms: int = 0
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RecordedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that failed, of a step or, if `step` is empty, of the function."""

    step: str
    name: str
    attempt: int
    at_ms: int
    error: msgspec.Raw


class RecordedWait(msgspec.Struct, frozen=True, kw_only=True):
    """A step that the run has begun, or waits for. `name` is empty where it is not known."""

    id: str
    name: str


class RecordedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `status` is as the REST API shows it; `steps` are in the order in which they ended;
    `output` is the result, or the error, of one that has ended, else null."""

    format: str = FORMAT
    id: str
    function: str
    app: str
    status: str
    queued_ms: int
    started_ms: int = 0
    ended_ms: int = 0
    cron: str = ""
    original: str = ""
    edited: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict[str, msgspec.Raw])
    events: tuple[msgspec.Raw, ...]
    steps: tuple[RecordedStep, ...] = ()
    attempts: tuple[RecordedAttempt, ...] = ()
    waits: tuple[RecordedWait, ...] = ()
    output: msgspec.Raw = NULL


class _Head(msgspec.Struct):
    format: object = None


_HEAD = msgspec.json.Decoder(_Head)
_RUN = msgspec.json.Decoder(RecordedRun)


def encode_recorded(run: RecordedRun) -> bytes:
    """The text of a file, indented for people and for version control."""
    return msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"


def decode_recorded(text: bytes) -> RecordedRun:
    """The run of a file. Raises NotRecorded."""
    try:
        head = decode(text, _HEAD)
        if head.format != FORMAT:
            raise NotRecorded(
                f'its "format" is {head.format!r}, not "{FORMAT}": export the run anew with'
                " `stepwell run ID --export FILE`"
            )
        run = _canonical(decode(text, _RUN))
    except NotRecorded:
        raise
    except (msgspec.DecodeError, ValueError) as error:
        raise NotRecorded(f"it is no run that was exported: {error}") from None
    if not run.events:
        raise NotRecorded('its "events" are empty: a run has one at least')
    return run


def _canonical(run: RecordedRun) -> RecordedRun:
    """The run with its JSON as stores and SDKs have it, not as it is indented for people."""
    replace = msgspec.structs.replace
    return replace(
        run,
        events=tuple(map(_plain, run.events)),
        steps=tuple(map(_plain_step, run.steps)),
        attempts=tuple(replace(one, error=_plain(one.error)) for one in run.attempts),
        edited={step: _plain(given) for step, given in run.edited.items()},
        output=_plain(run.output),
    )


def _plain_step(step: RecordedStep) -> RecordedStep:
    given = msgspec.UNSET if isinstance(step.input, msgspec.UnsetType) else _plain(step.input)
    return msgspec.structs.replace(step, memo=_plain(step.memo), input=given)


def _plain(raw: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(canonical(bytes(raw)))
