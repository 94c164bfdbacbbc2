"""The only place that turns a leased item and a run's state into the call an SDK receives.

Pure. Every driver starts from the same `CallRequest`: the local driver hands it over as it is, the
connection and HTTP encode it.
"""

import base64
import binascii
import hashlib

import msgspec

from stepwell.server.engine.message.input import Job
from stepwell.server.engine.name.lease_id import step_name
from stepwell.server.engine.row.run import Run
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.wire import header, limit
from stepwell.wire.execution import (
    TARGET_DISCOVERY,
    CallContext,
    CallRequest,
    Stack,
    input_memo,
    without_state,
)
from stepwell.wire.identifier import function_uuid

ACCOUNT_ID = "00000000-0000-4000-a000-000000000000"
"""The one account of a server that has only one."""

_SHARD = "::"
_KEYS_BYTES = 48
"""What a memo adds to a body besides its value: its key, quotes and punctuation, rounded up."""


def call_request(job: Job, state: CallState, listing: Listing) -> CallRequest:
    """What the function is told. Nothing is left out, however large: see `within_limit`."""
    run, item = job.run, job.item
    stack = tuple([step_id for step_id, _ in state.steps])
    job_id = _job_id(job, len(stack))
    events = tuple([msgspec.Raw(event) for event in state.events])
    return CallRequest(
        ctx=CallContext(
            run_id=run.id,
            fn_id=function_uuid(listing.slug),
            attempt=item.attempt,
            max_attempts=listing.attempts_max,
            disable_immediate_execution=run.force_plan,
            stack=Stack(stack, len(stack)),
            job_id=job_id,
            qi_id=_queue_item_id(job_id, item.key),
            request_id=job.lease.id,
            generation_id=job.lease.generation + item.attempt,
        ),
        event=events[0] if events else msgspec.Raw(b"null"),
        events=events,
        steps=memos_of(run, state),
        version=run.version,
        defers=dict(job.defers),
        exact_numbers=True,
        keeps_logs=True,
        step_name="" if item.target == TARGET_DISCOVERY else step_name(item),
        step_names=dict(state.names),
    )


def memos_of(run: Run, state: CallState) -> dict[str, msgspec.Raw]:
    """What a call is told of the run's steps: their results, and the arguments a rerun gives to a
    step that has none yet."""
    memos = {step_id: msgspec.Raw(memo) for step_id, memo in state.steps}
    for step_id, arguments in run.edited:
        if step_id not in memos:
            memos[step_id] = input_memo(msgspec.Raw(arguments.encode()))
    return memos


def within_limit(call: CallRequest, bytes_max: int = limit.CALL_BODY_BYTES_MAX) -> CallRequest:
    """The same call, told to fetch its steps (and its events, if these alone are too much) when
    its body would exceed `bytes_max`."""
    steps = sum([len(memo) + _KEYS_BYTES for memo in call.steps.values()])
    events = len(call.event) + sum([len(event) + 1 for event in call.events])
    rest = 1_024 + _KEYS_BYTES * len(call.steps)
    if steps + events + rest <= bytes_max:
        return call
    return without_state(call, keep_events=events + rest <= bytes_max)


def call_headers(call: CallRequest, target: str) -> dict[str, str]:
    """The headers of a call, all but its signature. `target` is a hashed step id, or `step`."""
    ctx = call.ctx
    trace = hashlib.sha1(ctx.run_id.encode(), usedforsecurity=False).hexdigest()
    span = hashlib.sha1(ctx.request_id.encode(), usedforsecurity=False).hexdigest()
    return {
        header.CONTENT_TYPE: header.JSON,
        header.USER_AGENT: header.SERVER_USER_AGENT,
        header.ACCOUNT_ID: ACCOUNT_ID,
        header.REQ_VERSION: str(call.version),
        header.STEP_ID: target,
        header.RUN_ID: ctx.run_id,
        header.REQUEST_ID: ctx.request_id,
        header.JOB_ID: ctx.job_id,
        header.GENERATION_ID: str(ctx.generation_id),
        # All calls of a run are one trace, each call a span of it.
        header.TRACEPARENT: f"00-{trace[:32]}-{span[:16]}-01",
    }


def item_key(queue_item_id: str) -> str | None:
    """Which item of its run a checkpoint is about; None if we never gave out this id."""
    try:
        text = base64.b64decode(queue_item_id, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    _, found, key = text.partition(_SHARD)
    return key if found else None


def _job_id(job: Job, steps: int) -> str:
    """One id for every attempt of a job; another job has another."""
    text = f"{job.run.id}:{job.item.key}:{steps}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:13]


def _queue_item_id(job_id: str, key: str) -> str:
    return base64.b64encode(f"{job_id}{_SHARD}{key}".encode()).decode()
