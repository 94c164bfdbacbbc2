"""Generators of what peers can send, sane and absurd, for property tests. The only place that knows
how far a peer may go: whatever comes out of `decode_operations` may reach the engine, so operations
are drawn as JSON and read like any reply.
"""

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from stepwell.server.engine.message.input import Broke, Outcome, Progressed, Returned
from stepwell.wire.failure import decode_failure
from stepwell.wire.function_config import Cancel, Trigger
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import MalformedOperation, Operation
from stepwell.wire.operation_decode import decode_operations

STEP_NAMES = ("a", "b", "c")
STEP_IDS = (*(step_hash(name) for name in STEP_NAMES), "cancel:0", "step", "a.b", "\x00", "é" * 50)
EVENT_NAMES = ("go", "news", "stop", "inngest/function.finished", "a/b.c", "*", "é/\x00")
SIGNALS = ("bell", "horn", "\x00")

TIMES = (
    "",
    "0",
    "1ms",
    "1s",
    "5m",
    "365d",
    "366d",
    "367d",
    "999999999999d",
    "9" * 300 + "s",
    "1.5.5s",
    "-5s",
    "soon",
    "٣s",
    "2027-06-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59+14:00",
    "1s" * 100,
)
CONDITIONS = (
    "",
    "true",
    "false",
    "async.data.k == event.data.k",
    "async.data.n > 3",
    "event.data.missing.deeper == async.nothing",
    "async.data.list.all(x, x > 0)",
    "1 / 0 == 1",
    "syntax error (",
    "unknown.root == 1",
    "async." + "a." * 200 + "b",
    "'\\u0000' == async.name",
)
JSON: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
_OPTIONS = {
    "Step": (),
    "StepRun": ("input", "type"),
    "StepError": ("input",),
    "StepFailed": ("input",),
    "StepPlanned": ("input", "type"),
    "Sleep": ("duration",),
    "WaitForEvent": ("event", "timeout", "if"),
    "WaitForSignal": ("signal", "timeout", "conflict"),
    "InvokeFunction": ("function_id", "payload", "timeout"),
    "Gateway": ("url", "method"),
    "AIGateway": ("url", "format"),
    "RunComplete": (),
    "DiscoveryRequest": (),
    "DeferAdd": ("fn_slug", "input"),
    "DeferAbort": ("target_hashed_id",),
    "None": (),
}


def _option(name: str, functions: Sequence[str]) -> st.SearchStrategy[object]:
    drawn: dict[str, st.SearchStrategy[object]] = {
        "input": st.just([1]),
        "type": st.sampled_from(("", "step.run")),
        "duration": st.sampled_from(TIMES),
        "timeout": st.sampled_from(TIMES),
        "event": st.sampled_from(EVENT_NAMES),
        "if": st.sampled_from(CONDITIONS),
        "signal": st.sampled_from(SIGNALS),
        "conflict": st.sampled_from(("fail", "replace")),
        "function_id": st.sampled_from((*functions, "nobody", "")),
        "payload": st.builds(dict, data=st.dictionaries(st.text(max_size=3), JSON, max_size=2)),
        "url": st.just("http://api.test/"),
        "method": st.sampled_from(("GET", "POST")),
        "format": st.sampled_from(("openai-chat", "anthropic")),
        "fn_slug": st.sampled_from((*functions, "nobody")),
        "target_hashed_id": st.sampled_from(STEP_IDS),
    }
    return drawn[name]


@st.composite
def operation_objects(draw: st.DrawFn, functions: Sequence[str] = ()) -> dict[str, object]:
    """One operation as JSON. `functions` are ids that may be invoked."""
    op = draw(st.sampled_from(sorted(_OPTIONS)))
    opts: dict[str, object] = {
        name: draw(_option(name, functions)) for name in _OPTIONS[op] if draw(st.integers(0, 4))
    }
    if draw(st.integers(0, 3)) == 0:
        opts["parallelMode"] = draw(st.sampled_from(("race", "wait", "?")))
    made: dict[str, object] = {
        "op": op,
        "id": draw(st.sampled_from(STEP_IDS)),
        "name": draw(st.sampled_from((*STEP_NAMES, "", "1s"))),
        "opts": opts,
        "data": draw(JSON),
    }
    if op in ("StepError", "StepFailed"):
        made["error"] = draw(st.sampled_from(({"name": "E", "message": "m"}, "text", {}, [1])))
    return made


def operations(functions: Sequence[str] = ()) -> st.SearchStrategy[tuple[Operation, ...]]:
    """The operations of one reply that the wire lets through, up to four of them."""

    def read(objects: list[dict[str, object]]) -> tuple[Operation, ...]:
        kept: list[Operation] = []
        for one in objects:
            try:
                kept += decode_operations(msgspec.json.encode([one]))
            except MalformedOperation:
                continue
        return tuple(kept)

    return st.lists(operation_objects(functions), max_size=4).map(read)


def outcomes(functions: Sequence[str] = ()) -> st.SearchStrategy[Outcome]:
    """What a call may be answered."""
    version = st.sampled_from((-1, 0, 1, 2, 99))
    delay = st.sampled_from((None, 0, -5, 1, 86_400_000, 2**53))
    failures = st.sampled_from((b"{}", b"nope", b'{"name":"E","message":"m","cause":[1]}'))
    progressed = st.builds(Progressed, operations(functions), version, delay, st.booleans())
    returned = st.builds(Returned, JSON.map(msgspec.json.encode), version)
    broke = st.builds(_broke, failures, delay, st.booleans())
    return st.one_of(progressed, progressed, progressed, returned, broke)


def _broke(body: bytes, delay_ms: int | None, no_retry: bool) -> Broke:
    told = msgspec.json.encode(body.decode())
    return Broke(decode_failure(body), told, delay_ms, no_retry)


def triggers() -> st.SearchStrategy[tuple[Trigger, ...]]:
    """What may start a function."""
    one = st.builds(
        Trigger,
        event=st.sampled_from((*EVENT_NAMES, "a/*")),
        expression=st.sampled_from(("", "event.data.n > 3", "syntax error (")),
    )
    return st.lists(one, min_size=1, max_size=3).map(tuple)


def cancels() -> st.SearchStrategy[tuple[Cancel, ...]]:
    """What may cancel a function's runs."""
    one = st.builds(
        Cancel,
        event=st.sampled_from(EVENT_NAMES),
        condition=st.sampled_from(CONDITIONS),
        timeout=st.sampled_from(TIMES),
    )
    return st.lists(one, max_size=2).map(tuple)
