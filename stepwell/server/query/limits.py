"""How named limits stand: what holds, what is in use and by which key, and what waits.

Pure but for what the reader reads. The same numbers decide when a call begins
(`engine/places/room.py`).
"""

from collections import Counter
from collections.abc import Sequence

from stepwell.server.engine.name.lane import PartKind, lane_of
from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.row.limit import key_text, limit_name
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.flow import bucket
from stepwell.server.flow.named_limit import NamedLimit, Numbers
from stepwell.server.store.port import Reader
from stepwell.wire.duration import format_duration, format_instant
from stepwell.wire.limit_state import LimitKeyState, LimitNumbers, LimitState

KEYS_MAX = 100
WAITING_MAX = 1_000
"""So many runs that wait in one lane are counted."""


def limit_state(reader: Reader, catalog: Catalog, name: str, now_ms: int) -> LimitState:
    """How a limit stands; one that is not there is no limit."""
    limit = catalog.limits.get(name)
    if limit is None:
        return LimitState(name=name)
    numbers = limit.numbers
    used, waiting, rows = _used(reader, limit.name), Counter[str](), _rows(reader, limit.name)
    for queue in reader.lanes_under(limit.name):
        keys = [part.key for part in lane_of(queue).parts if _waits(part.kind, part.key, limit)]
        if keys:
            runs = len(reader.due_runs(queue, now_ms + 1, WAITING_MAX))
            waiting.update({keys[0]: runs} if runs else {})
    known = sorted(used.keys() | waiting.keys() | rows.keys(), key=lambda key: (-used[key], key))
    return LimitState(
        name=limit.name,
        concurrency=numbers.concurrency,
        rate=numbers.rate,
        period=_period(numbers),
        is_changed=limit.changed is not None,
        declared=_numbers(limit.declared) if limit.changed is not None else None,
        in_use=sum(used.values()),
        waiting=sum(waiting.values()),
        functions=tuple(sorted(catalog.named_by(name))),
        keys=tuple(
            _key(numbers, key, used[key], waiting[key], rows.get(key), now_ms)
            for key in known[:KEYS_MAX]
        ),
    )


def _waits(kind: PartKind, key: str, limit: NamedLimit) -> bool:
    if limit_name(key) != limit.name:
        return False
    return kind is not PartKind.LIMIT_LATER or bool(limit.numbers.concurrency)


def _used(reader: Reader, name: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for lease in reader.leases_of_limit(name):
        for key, load in lease.counts:
            if limit_name(key) == name:
                found[key] += load
    return found


def _rows(reader: Reader, name: str) -> dict[str, FlowKey]:
    rows: Sequence[FlowKey] = reader.flow_keys(KeyKind.USE)
    return {row.id: row for row in rows if limit_name(row.id) == name}


def _key(
    numbers: Numbers, key: str, used: int, waiting: int, row: FlowKey | None, now_ms: int
) -> LimitKeyState:
    value, cool_ms = (0, 0) if row is None else (row.value, row.cool_ms)
    return LimitKeyState(
        key=key_text(key),
        in_use=used,
        waiting=waiting,
        available=bucket.free(numbers.bucket, value, now_ms) if numbers.rate else None,
        cools_until=format_instant(cool_ms) if cool_ms > now_ms else "",
    )


def _numbers(numbers: Numbers) -> LimitNumbers:
    return LimitNumbers(numbers.concurrency, numbers.rate, _period(numbers))


def _period(numbers: Numbers) -> str:
    return format_duration(numbers.period_ms) if numbers.rate else ""
