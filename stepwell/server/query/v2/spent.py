"""Where the time of a run went, in the shape of the REST API's second version. Pure.

No moment counts twice: what lies under several spans counts as the first of them in the order of
`SpentV2`, its queue aside.
"""

from collections.abc import Iterable, Iterator

import msgspec

from stepwell.server.query.timeline import USERLAND, Span

_WAITS = frozenset({"Sleep", "WaitForEvent", "WaitForSignal", "InvokeFunction"}) | frozenset(
    {"event", "signal", "invoke"}
)
_REQUESTS = frozenset({"Gateway", "AIGateway", "fetch"})
_OTHERS = frozenset({"run", "attempt", "call", USERLAND})

Stretch = tuple[int, int]


class SpentV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Milliseconds of a run by what they went into: `queuedMs` before its first call; then code of
    steps, requests that the server makes for them, waiting for times, events and other runs, and
    retrying what failed. The rest, `betweenMs`, is the server, the network and what the function
    does between its steps. Of a run without steps, all of it is its code."""

    queued_ms: int
    code_ms: int
    requests_ms: int
    waiting_ms: int
    retrying_ms: int
    between_ms: int


def spent_v2(root: Span, now_ms: int) -> SpentV2:
    """Of a run that has not ended, until now."""
    end = root.ended_ms or max(now_ms, root.queued_ms)
    begin = min(root.started_ms or end, end)
    kinds: dict[str, list[Stretch]] = {"code": [], "requests": [], "waiting": [], "retrying": []}
    for kind, stretch in _stretches(root, end):
        kinds[kind].append(stretch)
    if not any(kinds.values()):
        kinds["code"].append((begin, end))
    told: dict[str, int] = {}
    seen: list[Stretch] = []
    before = 0
    for kind, stretches in kinds.items():
        seen = _merged([*seen, *stretches], begin, end)
        covered = sum(to - since for since, to in seen)
        told[kind], before = covered - before, covered
    return SpentV2(
        queued_ms=max(begin - root.queued_ms, 0),
        code_ms=told["code"],
        requests_ms=told["requests"],
        waiting_ms=told["waiting"],
        retrying_ms=told["retrying"],
        between_ms=end - begin - before,
    )


def _stretches(root: Span, end: int) -> Iterator[tuple[str, Stretch]]:
    for place, span in enumerate(root.children):
        if span.kind == "attempt":
            # What failed and has no result is tried again until something else begins.
            later = (one.started_ms for one in root.children[place + 1 :])
            yield "retrying", (span.started_ms, next((at for at in later if at), end))
        elif span.kind not in _OTHERS and span.started_ms:
            yield _kind(span.kind), (span.started_ms, span.ended_ms or end)
            tried = [child.started_ms for child in span.children if child.kind == "attempt"]
            if tried:
                yield "retrying", (min(tried), span.started_ms)


def _kind(kind: str) -> str:
    if kind in _WAITS:
        return "waiting"
    return "requests" if kind in _REQUESTS else "code"


def _merged(stretches: Iterable[Stretch], begin: int, end: int) -> list[Stretch]:
    """Overlapping stretches as one, in order, within the bounds."""
    found: list[Stretch] = []
    for since, to in sorted((max(since, begin), min(to, end)) for since, to in stretches):
        if to <= since:
            continue
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(to, found[-1][1]))
        else:
            found.append((since, to))
    return found
