"""`GET /metrics`: what there is to watch, in the format Prometheus reads. The only place that knows
the names; `docs/operations.md` says what to alert on.

Counts are kept where things happen, gauges are read now, and both from memory, but for the oldest
run of each function that waits: a look-up in an index.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily as Count
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.backlog import UnderWay, backlogs
from stepwell.server.api.deps import ApiDeps
from stepwell.server.meters import STEP_BOUNDS_S, Meters, Spread

TYPE = "text/plain; version=0.0.4; charset=utf-8"
FUNCTIONS_MAX = 1_000
"""So many functions have lines of their own; those that come later are `(others)` together."""
OTHERS = "(others)"

Key = TypeVar("Key", bound=tuple[str, ...])


async def metrics(deps: ApiDeps, request: Request) -> Response:
    """Everything, as it is now."""
    under_way = UnderWay.of(deps.under_way())
    body = await asyncio.to_thread(_written, deps, under_way)
    return Response(body, media_type=TYPE)


def _written(deps: ApiDeps, under_way: UnderWay) -> bytes:
    known = CollectorRegistry()
    ProcessCollector(registry=known)
    known.register(_Server(deps, under_way))
    return generate_latest(known)


class _Server(Collector):
    """One server, once."""

    def __init__(self, deps: ApiDeps, under_way: UnderWay) -> None:
        self._deps = deps
        self._under_way = under_way

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield from _of_functions(self._deps.ledger.meters)
        yield from _of_queue(self._deps, self._under_way)
        yield from _of_ledger(self._deps)
        yield from _of_process(self._deps)


def _of_functions(meters: Meters) -> Iterator[Metric]:
    started = Count("stepwell_runs_started", "Runs that began to exist", labels=["function"])
    for (function,), count in _summed({(f,): n for f, n in dict(meters.started).items()}).items():
        started.add_metric([function], count)
    yield started
    ended = Count("stepwell_runs_ended", "Runs that ended", labels=["function", "status"])
    by_status = {(f, status.word.lower()): n for (f, status), n in dict(meters.ended).items()}
    for (function, word), count in _summed(by_status).items():
        ended.add_metric([function, word], count)
    yield ended
    retried = Count(
        "stepwell_retries", "Attempts that failed and are made again", labels=["function"]
    )
    for (function,), count in _summed({(f,): n for f, n in dict(meters.retried).items()}).items():
        retried.add_metric([function], count)
    yield retried
    steps = Histogram(
        "stepwell_step_seconds", "How long the code of steps took", labels=["function"]
    )
    others = Spread(STEP_BOUNDS_S)
    for number, (function, spread) in enumerate(dict(meters.steps).items()):
        if number < FUNCTIONS_MAX:
            steps.add_metric([function], _buckets(spread), spread.total)
        else:
            others.merge(spread)
    if len(meters.steps) > FUNCTIONS_MAX:
        steps.add_metric([OTHERS], _buckets(others), others.total)
    yield steps


def _of_queue(deps: ApiDeps, under_way: UnderWay) -> Iterator[Metric]:
    live = deps.reader.live()
    waiting = backlogs(deps, under_way, FUNCTIONS_MAX, live)
    runs = Gauge("stepwell_runs", "Runs that have not ended", labels=["function", "status"])
    by_status = {(f, status.word.lower()): n for (f, status), n in live.items()}
    for (function, word), count in _summed(by_status).items():
        runs.add_metric([function, word], count)
    yield runs
    labels = ["function", "reason"]
    depth = Gauge("stepwell_queue_depth", "Runs whose first call was not made yet", labels=labels)
    age = Gauge(
        "stepwell_queue_age_seconds", "How long the oldest of them has waited", labels=labels
    )
    now_ms = deps.clock.now_ms()
    for one in waiting:
        depth.add_metric([one.function, one.reason], one.runs)
        age.add_metric([one.function, one.reason], max(now_ms - one.since_ms, 0) / 1000)
    yield depth
    yield age
    calls = Gauge("stepwell_calls", "Calls under way", labels=["app"])
    most = Gauge("stepwell_calls_max", "Calls that may be under way at once", labels=["app"])
    for app in list(deps.ledger.catalog.apps)[:FUNCTIONS_MAX]:
        lane = deps.lane(app)
        calls.add_metric([app], lane.busy)
        most.add_metric([app], lane.limit)
    yield calls
    yield most


def _of_ledger(deps: ApiDeps) -> Iterator[Metric]:
    ledger = deps.ledger
    yield Count("stepwell_events", "Events that were stored", ledger.meters.events)
    yield Count("stepwell_inputs", "Inputs that were decided", ledger.inputs)
    yield Count("stepwell_commits", "Transactions of the database", ledger.commits)
    yield Count("stepwell_rows", "Rows that were written", ledger.rows)
    batches = ledger.meters.batches
    yield Histogram(
        "stepwell_batch_inputs",
        "Inputs that shared a transaction",
        buckets=_buckets(batches),
        sum_value=batches.total,
    )


def _of_process(deps: ApiDeps) -> Iterator[Metric]:
    seen = deps.process()
    for name, told, value in (
        ("stepwell_database_bytes", "Size of the database file", seen.database_bytes),
        ("stepwell_log_bytes", "Size of its write-ahead log", seen.log_bytes),
        ("stepwell_connections", "Connections to the main port", seen.connections),
        ("stepwell_workers", "Workers that are connected", seen.workers),
        ("stepwell_body_bytes", "Memory that long request bodies take", seen.body_bytes),
        ("stepwell_loop_stall_seconds", "The longest the loop was late in 5 min", seen.stall_s),
        ("stepwell_loop_work_seconds", "The longest it worked while late", seen.stall_work_s),
    ):
        yield Gauge(name, told, value)
    yield Count("stepwell_bodies_refused", "Bodies there was no room for", seen.bodies_refused)
    yield Histogram(
        "stepwell_loop_lag_seconds",
        "How late a timer of the event loop came",
        buckets=_buckets(seen.lag),
        sum_value=seen.lag.total,
    )


def _summed(counts: Mapping[Key, int]) -> dict[tuple[str, ...], int]:
    """Counts by labels, of which the first is a function: of so many functions, and of the rest."""
    names = set(list(dict.fromkeys(labels[0] for labels in counts))[:FUNCTIONS_MAX])
    summed: dict[tuple[str, ...], int] = {}
    for labels, count in counts.items():
        key = labels if labels[0] in names else (OTHERS, *labels[1:])
        summed[key] = summed.get(key, 0) + count
    return summed


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*spread.bounds, float("inf")), list(spread.counts), strict=True):
        below += count
        found.append(("+Inf" if bound == float("inf") else f"{bound:g}", below))
    return found
