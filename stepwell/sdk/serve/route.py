"""What a web route answers when a run it waited for gave no result: one rule for all frameworks.

Strangers may see these answers: they name the run and the kind of its error, never its message.
"""

import msgspec

from stepwell.sdk.errors import RunFailedError, RunTimeoutError
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.serve.response import ServeResponse
from stepwell.wire import header

RUN_ERRORS: tuple[type[Exception], ...] = (RunTimeoutError, RunFailedError, NetworkError)
"""What `route_answer` knows an answer to."""
RETRY_AFTER_SECONDS = "1"


def route_answer(error: Exception) -> ServeResponse:
    """202 with the run's id if it goes on; 500 if it failed or was cancelled; 503 if the server
    could not be reached. Any other error is raised again."""
    if isinstance(error, RunTimeoutError):
        return _answer(202, {"run_id": error.run_id, "status": "running"})
    if isinstance(error, RunFailedError):
        cause = error.__cause__
        name = None if cause is None else getattr(cause, "name", type(cause).__name__)
        status = "cancelled" if cause is None else "failed"
        return _answer(500, {"run_id": error.run_id, "status": status, "error": name})
    if isinstance(error, NetworkError):
        told = _answer(503, {"status": "unreachable"})
        headers = {**told.headers, header.RETRY_AFTER: RETRY_AFTER_SECONDS}
        return msgspec.structs.replace(told, headers=headers)
    raise error


def _answer(status: int, body: dict[str, str | None]) -> ServeResponse:
    return ServeResponse(status, {header.CONTENT_TYPE: header.JSON}, msgspec.json.encode(body))
