"""What a function answered, as the reply that travels over the connection.

The only place that maps statuses and headers of a call's answer to the reply's fields. A 4xx
becomes an error: read as "done" it would turn bad input into a successful run.
"""

from stepwell.sdk.net.agent import SDK
from stepwell.wire import header
from stepwell.wire.connect_word import ExecutorRequest, Reply, ReplyStatus
from stepwell.wire.execution import STATUS_DONE, STATUS_OPERATIONS, CallResponse

_STATUS = {STATUS_DONE: ReplyStatus.DONE, STATUS_OPERATIONS: ReplyStatus.NOT_COMPLETED}
_NO_TRACE = b"{}"


def reply_to(request: ExecutorRequest, response: CallResponse) -> Reply:
    """The reply to a request. Trace contexts are echoed; an empty one becomes an empty object."""
    status = _STATUS.get(response.status, ReplyStatus.ERROR)
    done = status is ReplyStatus.DONE
    headers = response.headers
    version = headers.get(header.REQ_VERSION)
    return Reply(
        request_id=request.request_id,
        account_id=request.account_id,
        env_id=request.env_id,
        app_id=request.app_id,
        status=status,
        body=response.body or b"null",
        # A server reads either of these on a finished call as "it failed".
        no_retry=not done and headers.get(header.NO_RETRY) == "true",
        retry_after=None if done else headers.get(header.RETRY_AFTER),
        sdk_version=SDK,
        request_version=header.request_version(version) if version else header.REQUEST_VERSION,
        system_trace=request.system_trace or _NO_TRACE,
        user_trace=request.user_trace or _NO_TRACE,
        run_id=request.run_id,
    )
