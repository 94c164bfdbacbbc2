"""`POST /v1/signals`: a signal is sent to whoever waits for its name."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, RunOf, body_of, enveloped
from stepwell.server.api.routing.route import Body, unknown_field
from stepwell.server.engine.message.input import Done, SignalSent, Verdict
from stepwell.server.turns import in_turns
from stepwell.wire import limit
from stepwell.wire.long_json import canonicalizing, decoding


class SignalBody(msgspec.Struct, forbid_unknown_fields=True):
    """A signal, and what whoever waits for it is told."""

    signal: str = ""
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


SIGNAL = Body(SignalBody, 'send {"signal": "name", "data": …}')
_SIGNAL = msgspec.json.Decoder(SignalBody)


async def send_signal(deps: ApiDeps, request: Request) -> Response:
    """Deliver a signal once. 404 if nobody waits; it is not kept for later."""
    try:
        body = await body_of(request, limit.REPLY_BODY_BYTES_MAX)
        asked = await in_turns(decoding(body, _SIGNAL))
        data = await in_turns(canonicalizing(bytes(asked.data)))
    except ValueError as error:
        said = unknown_field(error, SignalBody.__struct_fields__)
        raise Problem(400, f"the signal cannot be read: {said}; {SIGNAL.fix}") from None
    if not asked.signal:
        raise Problem(400, "signal is empty: name the signal a function waits for")
    answer = await deps.ledger.submit(SignalSent(asked.signal, data))
    assert isinstance(answer, Done)
    if answer.verdict is not Verdict.APPLIED:
        raise Problem(404, "No signal found")
    return enveloped(RunOf(answer.subject), deps.clock.now_ms())
