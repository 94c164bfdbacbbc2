"""What a request to an endpoint means, and what is answered: no input and no output is here.

`answered` is a generator: it yields what it needs (requests to the server's API, the call of a
function) and is told what came of it. `perform.py` does these, in either colour of code.
"""

from stepwell.sdk.errors import Error, code_of
from stepwell.sdk.serve import answer, gate
from stepwell.sdk.serve.call import called
from stepwell.sdk.serve.effect import Serving, Steps
from stepwell.sdk.serve.introspect import introspected
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.serve.served import Served
from stepwell.sdk.serve.setup import Setup
from stepwell.sdk.serve.sync import synced
from stepwell.sdk.timing import COMM_HANDLER, Timings, in_words
from stepwell.wire import header
from stepwell.wire.execution import CallResponse
from stepwell.wire.signature import sign


def answered(served: Served, setup: Setup, request: ServeRequest) -> Serving:
    """The answer to a request, signed. Whatever is wrong, there is one."""
    began_ns = served.spent_ns()
    timings: Timings = {}
    judged = gate.judge(request, setup.settings, served.now_ms())
    key = judged.key if isinstance(judged, gate.Passed) else None
    response: CallResponse | None
    try:
        response = yield from _route(served, setup, request, judged, timings)
    except Error as error:
        # No stack: the sentence says what is wrong with the request.
        served.log.error("%s: %s", code_of(error).value, error)  # noqa: TRY400
        response = answer.error_answer(error)
    except Exception as error:
        served.log.exception("an unforeseen error while serving")
        if isinstance(judged, gate.Refused):
            return answer.MISCONFIGURED
        response = answer.error_answer(error)
    if response is None:
        return answer.UNAUTHORIZED
    timings[COMM_HANDLER] = served.spent_ns() - began_ns
    headers = {**setup.headers, **response.headers, **answer.echoed(request.headers)}
    headers[header.SERVER_TIMING] = in_words(timings)
    if key is not None:
        headers[header.SIGNATURE] = sign(response.body, key, served.now_ms())
    return ServeResponse(response.status, headers, response.body)


def _route(
    served: Served,
    setup: Setup,
    request: ServeRequest,
    judged: gate.Passed | gate.Refused,
    timings: Timings,
) -> Steps:
    """The answer to a request; None if it has no right to one."""
    if request.method == "PUT":
        return (yield from synced(served, setup, request, judged))
    if request.method not in {"GET", "HEAD", "POST"}:
        return None if isinstance(judged, gate.Refused) else answer.NOT_ALLOWED
    opened = setup.serve.introspection == "open" and request.method != "POST"
    if isinstance(judged, gate.Refused) and not opened:
        gate.note_refusal(served.log, request, judged)
        return None
    if request.method == "POST":
        return (yield from called(served, request, timings))
    return (yield from introspected(served, setup, request, judged))
