"""A leased item as the request a worker gets, and a worker's reply as an outcome. Pure.

The request id is the item's lease, so whoever answers under it is fenced by the engine itself. What
else is needed to find the item again after a restart travels in the trace context, which every SDK
echoes unread: so an answer can be stored although nobody remembers having asked.
"""

from typing import Final

import msgspec

from stepwell.server.drivers.reply import reading_reply
from stepwell.server.drivers.request import ACCOUNT_ID, call_headers, call_request, within_limit
from stepwell.server.engine.message.input import Job, Outcome
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.wire import header
from stepwell.wire.connect_word import ExecutorRequest, Reply, ReplyStatus
from stepwell.wire.execution import (
    STATUS_DONE,
    STATUS_FAILED,
    STATUS_OPERATIONS,
    encode_call,
)
from stepwell.wire.identifier import app_uuid, function_uuid
from stepwell.wire.long_json import Turns
from stepwell.wire.outside import decode

ENV_ID: Final = "00000000-0000-4000-b000-000000000000"
"""The one environment of a server that has only one."""

_STATUS = {
    ReplyStatus.DONE: STATUS_DONE,
    ReplyStatus.NOT_COMPLETED: STATUS_OPERATIONS,
    ReplyStatus.ERROR: STATUS_FAILED,
}


class Place(msgspec.Struct, frozen=True):
    """Which item a request is about."""

    run_id: str
    key: str


class _Trace(msgspec.Struct, omit_defaults=True):
    """Our trace context: W3C's, and beside it the item."""

    traceparent: str = ""
    stepwell: list[str] = msgspec.field(default_factory=list[str])


_TRACE_BYTES_MAX: Final = 4096
_TRACE = msgspec.json.Decoder(_Trace)


def executor_request(
    job: Job, state: CallState, listing: Listing, lease_id: str
) -> ExecutorRequest:
    """What a worker is sent; `lease_id` is the first lease of the request."""
    call = within_limit(call_request(job, state, listing))
    headers = call_headers(call, job.item.target)
    parent = headers[header.TRACEPARENT]
    return ExecutorRequest(
        request_id=job.lease.id,
        account_id=ACCOUNT_ID,
        env_id=ENV_ID,
        app_id=app_uuid(job.run.app),
        app_name=job.run.app,
        function_id=function_uuid(listing.slug),
        function_slug=listing.slug,
        step_id=job.item.target,
        payload=encode_call(call),
        system_trace=msgspec.json.encode(_Trace(parent, [job.run.id, job.item.key])),
        user_trace=msgspec.json.encode(_Trace(parent)),
        run_id=job.run.id,
        lease_id=lease_id,
        job_id=call.ctx.job_id,
    )


def place_in(system_trace: bytes) -> Place | None:
    """The item an echoed trace context names; None if it is not one of ours."""
    if len(system_trace) > _TRACE_BYTES_MAX:
        return None
    try:
        named = decode(system_trace, _TRACE).stepwell
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Place(named[0], named[1]) if len(named) == 2 else None


def reading_outcome(reply: Reply, now_ms: int) -> Turns[Outcome]:
    """What a reply means, judged as an answer over HTTP is; with pauses, if it is long.

    A "done" that says it must not be tried again, or when, is how one SDK reports a failure.
    """
    failed = reply.no_retry or reply.retry_after is not None
    status = STATUS_FAILED if failed and reply.status is ReplyStatus.DONE else _STATUS[reply.status]
    headers = {
        header.SDK: reply.sdk_version or "connect",
        header.REQ_VERSION: str(reply.request_version),
        header.NO_RETRY: "true" if reply.no_retry else "false",
    }
    if reply.retry_after is not None:
        headers[header.RETRY_AFTER] = reply.retry_after
    return reading_reply(status, headers, reply.body, now_ms)
