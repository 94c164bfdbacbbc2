"""Flow control of simulated functions, drawn from a seed of its own, and the laws of flow control.

    L1  never more calls, or runs, under a key than its limit;
    L2  no place under a key without a run that has not ended, and in the end no hold;
    L3  every event starts a run, or leaves a record why not, or is in a hold;
    L4  where nothing goes wrong, a call that has been due for a moment waits for a full limit
        (`waits_for_nothing`);
    L5  what is remembered of a rate limit's key grows by each admission (`rates.py`).

What is drawn here changes nothing else of a world.
"""

from collections.abc import Iterator
from random import Random

import msgspec

from stepwell.server.engine.name.lane import is_lane, lane_of
from stepwell.server.engine.row.run import Item, ItemKind, Lease
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.changes import Changes
from stepwell.server.flow.plan import NO_PLAN, Plan, plan_of
from stepwell.server.query.room import rests
from stepwell.server.store.port import Reader, RunFilter
from stepwell.testing.simulation.model import Body, Do, Program, Statement, Together
from stepwell.testing.simulation.rates import RateJudge
from stepwell.testing.simulation.workload import Fn
from stepwell.wire.function_config import (
    Backlog,
    Batch,
    Concurrency,
    Debounce,
    Fairness,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.wire.named_limit import FunctionLimit, LimitUsed, StepLimit

WEIGHTS = ("", "event.data.n + 1")
DESK = 4
"""So much at once of the named limit that some functions share."""
RUNS_MAX = 1_000
KEYS = ("", "event.data.k", "event.data.n > 3")


def controlled(functions: list[Fn], chance: Random) -> list[Fn]:
    """The same functions, most of them with flow control, and some of their steps under limits."""
    made = [msgspec.structs.replace(fn, controls=_controls(fn, chance)) for fn in functions]
    return [msgspec.structs.replace(fn, program=_limited(fn.program, chance)) for fn in made]


def _limited(program: Program, draw: Random) -> Program:
    """The same program. A step that is met twice stands under the same limits both times."""
    drawn: dict[str, Do] = {}

    def statement(one: Statement) -> Statement:
        match one:
            case Together():
                return msgspec.structs.replace(one, branches=tuple(map(body, one.branches)))
            case Do():
                return drawn.setdefault(one.id, _under_limits(one, draw))
            case _:
                return one

    def body(whole: Body) -> Body:
        return tuple(statement(one) for one in whole)

    return msgspec.structs.replace(program, body=body(program.body))


def _under_limits(step: Do, draw: Random) -> Do:
    """A step that may stand under limits, and may have used more or less than it took."""
    if draw.random() > 0.3:
        return step
    key, weight = draw.choice(("", "1", '"one"')), draw.choice((1, 1, 3, DESK + 1))
    desk = StepLimit("desk", key, weight, concurrency=DESK)
    mail = StepLimit("mail", key, weight, rate=5, period="10s")
    own = StepLimit("", key, 1, concurrency=draw.choice((1, 2)))
    limits = draw.choice(((desk,), (mail,), (own,), (desk, mail), (own, mail)))
    used = LimitUsed("mail", key, draw.choice((-1, 0, 4)))
    return msgspec.structs.replace(step, limits=limits, used=(used,) if mail in limits else ())


def _controls(fn: Fn, draw: Random) -> dict[str, object]:
    def key() -> str:
        return draw.choice(KEYS)

    drawn: dict[str, object] = {}
    if draw.random() < 0.5:
        entry = Concurrency(draw.choice((1, 1, 2, 5)), key())
        shared = Concurrency(draw.choice((1, 3)), "'shared'", "env")
        drawn["concurrency"] = draw.choice(((entry,), (entry, shared), (shared,)))
    if draw.random() < 0.3:
        drawn["run_concurrency"] = (Concurrency(draw.choice((1, 2)), key()),)
    if draw.random() < 0.3:
        drawn["throttle"] = Throttle(draw.choice((1, 3)), draw.choice(("5s", "1m")), 1, key())
    if draw.random() < 0.3:
        drawn["fairness"] = Fairness("event.data.k", draw.choice(("", "event.data.n")))
    if draw.random() < 0.4:
        drawn["limits"] = draw.choice(
            (
                (FunctionLimit("desk", key(), draw.choice(WEIGHTS), concurrency=DESK),),
                (FunctionLimit("mail", "", draw.choice(WEIGHTS), rate=5, period="10s"),),
                (
                    FunctionLimit("desk", "'one'", concurrency=DESK),
                    FunctionLimit("mail", rate=5, period="10s"),
                ),
            )
        )
    if draw.random() < 0.2:
        algorithm = draw.choice(("", "window"))
        drawn["rate_limit"] = RateLimit(draw.choice((1, 4)), "1m", key(), algorithm)
    if draw.random() < 0.2:
        drawn["timeouts"] = Timeouts(draw.choice(("", "30s")), draw.choice(("", "3m")))
    put_off = draw.random()
    if put_off < 0.2 and not fn.cancels:
        drawn["batch"] = Batch(draw.choice((2, 3)), draw.choice(("1s", "40s")), key())
        return drawn
    if put_off < 0.4:
        collect = draw.choice(("", "all"))
        drawn["debounce"] = Debounce("5s", key(), draw.choice(("", "12s")), collect)
    if draw.random() < 0.2:
        drawn["singleton"] = Singleton(draw.choice(("skip", "cancel")), key())
    if draw.random() < 0.3:
        drawn["backlog"] = Backlog(draw.choice((1, 3)), key(), draw.choice(("", "cancel")))
    if draw.random() < 0.3:
        drawn["priority"] = Priority("event.data.n > 3 ? 300 : -20")
    return drawn


IDLE_MS = 50
"""So long after it is due a call may begin that could."""


def waits_for_nothing(reader: Reader, catalog: Catalog, now_ms: int) -> Iterator[str]:
    """Calls that have been due for a moment, are not under way, and could be (law L4)."""
    for run in reader.runs(RunFilter(limit=RUNS_MAX)):
        listing = catalog.listing(run.function)
        rests_whole = catalog.cooled.get(run.function, 0) > now_ms or run.function in catalog.paused
        if run.ended or listing is None or rests_whole:
            continue
        begun = {lease.key for lease in reader.leases(run.id)}
        items = reader.items(run.id)
        told = rests(reader, run, listing, now_ms, items)
        for item in items:
            late_ms = now_ms - item.due_ms
            waits = item.kind is ItemKind.CALL and item.key not in begun | told.keys()
            if waits and late_ms > IDLE_MS and not _is_cool(reader, item, now_ms):
                yield f"call {item.key!r} of run {run.id} waits for nothing, for {late_ms} ms"


def _is_cool(reader: Reader, item: Item, now_ms: int) -> bool:
    """Whether a call stands under a key that cools."""
    parts = lane_of(item.queue).parts if is_lane(item.queue) else ()
    rows = (reader.flow_key(part.key) for part in parts)
    return any(row is not None and row.cool_ms > now_ms for row in rows)


class FlowJudge:
    """Hears of every commit."""

    def __init__(self, functions: list[Fn]) -> None:
        self._plans = {fn.slug: plan_of(fn.config()) or NO_PLAN for fn in functions}
        self._own = {
            f"{fn.slug}.{step.id}": limit.concurrency
            for fn in functions
            for step in _steps(fn.program.body)
            for limit in step.limits
            if not limit.name
        }
        self._rates = RateJudge(self._plans)
        self._leases: dict[tuple[str, str], Lease] = {}
        self._slots: dict[str, set[str]] = {}
        self.dropped: set[tuple[str, str]] = set()

    def committed(self, changes: Changes) -> Iterator[str]:
        """A commit was made: what it breaks, in words."""
        for dropped in changes.dropped:
            self.dropped.add((dropped.function, dropped.event_id))
        yield from self._rates.committed(changes)
        for (key, run_id), slot in changes.slots.items():
            held = self._slots.setdefault(key, set())
            (held.discard if slot is None else held.add)(run_id)
        for key in {key for key, _ in changes.slots}:
            limit = self._most(key)
            if len(self._slots[key]) > limit:
                yield f"{sorted(self._slots[key])} are under {key}, whose limit is {limit}"

    def kept(self, changes: Changes) -> Iterator[str]:
        """The store has caught up: so has whoever counts leases."""
        for slot, lease in changes.leases.items():
            self._leases.pop(slot, None)
            if lease is not None:
                self._leases[slot] = lease
        for run_id in changes.ended:
            for slot in [slot for slot in self._leases if slot[0] == run_id]:
                del self._leases[slot]
        counts: dict[str, list[int]] = {}
        for lease in self._leases.values():
            for key, load in lease.counts:
                counts.setdefault(key, []).append(load)
        for key, loads in counts.items():
            limit = self._most(key)
            # What is more than there can be has it alone.
            if sum(loads) > limit and (len(loads) > 1 or not key.startswith("limit:")):
                yield f"{loads} are under {key}, whose limit is {limit}"

    def died(self) -> None:
        """The process is gone, and every lease with it."""
        self._leases.clear()

    def end(self) -> Iterator[str]:
        """Everything has ended: what still has a place?"""
        for key, held in self._slots.items():
            if held:
                yield f"{sorted(held)} still have a place under {key}"

    def _most(self, key: str) -> int:
        word, _, rest = key.partition(":")
        if word == "backlog":
            return max(plan.backlog.limit for plan in self._plans.values() if plan.backlog)
        if word == "limit":
            name = rest.partition(":")[0]
            return DESK if name == "desk" else self._own.get(name, 2**31)
        limits = [limit for plan in self._plans.values() for limit in _limits(plan, word, rest)]
        if word == "singleton":
            return max(plan.singleton.limit for plan in self._plans.values() if plan.singleton)
        return max(limits, default=0)


def _steps(body: Body) -> Iterator[Do]:
    for one in body:
        if isinstance(one, Together):
            for branch in one.branches:
                yield from _steps(branch)
        elif isinstance(one, Do):
            yield one


def _limits(plan: Plan, word: str, rest: str) -> Iterator[int]:
    """The limits of a plan's entries that a key may be of."""
    entries = plan.steps if word == "concurrency" else plan.runs
    for entry in entries:
        mark = "" if entry.is_shared else f"{entry.key.mark}:"
        if entry.limit and rest.startswith(f"{entry.owner}:{mark}"):
            yield entry.limit
