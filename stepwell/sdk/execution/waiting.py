"""What the tasks of a handler wait for: steps, each other, or the world.

A handler is idle when nothing it needs can move unless a step is settled. A future does not say
who will resolve it, so this reads what asyncio and anyio leave behind: the children of a gather,
the callbacks on a task, the frame that awaits. What it cannot read it takes for the world, which is
waited for, with patience (see `_async.py`).

The only place that knows the insides of asyncio and anyio.
"""

import asyncio
import gc
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from types import CodeType, MethodType
from typing import Any, NamedTuple, TypeAlias, cast

from stepwell.sdk.execution.strand import Strand


class StepFuture(asyncio.Future[Any]):
    """What a task waits for that called a step: a verdict, or its turn to go on after it."""

    saved = False
    """The step has run and was saved; it only waits for its turn."""
    strand: Strand | None = None
    """Whose task it is."""


class Survey:
    """What was found: can anything move, is the world waited for, how deep are gathers nested.

    `racing` says that somebody goes on with the first of several: `as_completed`, or `wait` with
    FIRST_COMPLETED. `gathered`, if given, keeps for the next look what cannot change.
    """

    __slots__ = ("_gathered", "depth", "moving", "racing", "world")

    def __init__(self, gathered: "Gathered | None" = None) -> None:
        self.moving = False
        self.world: list[asyncio.Future[Any]] = []
        self.depth = 0
        self.racing = False
        self._gathered: Gathered = {} if gathered is None else gathered

    def made_of(
        self,
        future: asyncio.Future[Any],
        children: Collection[asyncio.Future[Any]],
        strands: Collection[Strand],
    ) -> tuple[list[Strand], list[asyncio.Future[Any]]]:
        """What a gather is made of: strands, and futures of others."""
        found = self._gathered.get(future)
        if found is None:
            known, others = list[Strand](), list[asyncio.Future[Any]]()
            for child in children:
                strand = strand_of(child, strands)
                if strand is not None:
                    known.append(strand)
                elif not child.done():
                    others.append(child)
            found = self._gathered[future] = known, others
        return found


Gathered: TypeAlias = dict[asyncio.Future[Any], tuple[list[Strand], list[asyncio.Future[Any]]]]
"""What gathers are made of, which never changes."""


# Functions whose futures are resolved by other tasks, by the file they are written in.
_ASYNCIO_PRIMITIVES = {
    "asyncio/taskgroups.py": None,
    "asyncio/locks.py": None,
    "asyncio/queues.py": None,
    "asyncio/tasks.py": frozenset({"wait", "_wait", "wait_for", "_wait_for_one"}),
}
_ANYIO_BACKEND = "anyio/_backends/_asyncio.py"
_ANYIO_PRIMITIVES = frozenset(
    {"TaskGroup.__aexit__", "TaskHandle.wait", "Event.wait", "Lock.acquire", "Semaphore.acquire"}
    | {"CapacityLimiter.acquire", "CapacityLimiter.acquire_on_behalf_of", "TaskGroup.start"}
)


def survey(
    roots: Iterable[Strand],
    strands: Collection[Strand],
    gathered: "Gathered | None" = None,
) -> Survey:
    """Look at all live `strands`; the handler needs what `roots` need."""
    found = Survey(gathered)
    for strand in strands:
        if not strand.joined:
            strand.joined = is_joined(strand)
        if strand.busy:
            continue
        future = strand.waiting_on
        if future is None or future.done():
            found.moving = True
            return found
    seen: set[Strand] = set()
    todo = list(roots)
    while todo:
        strand = todo.pop()
        if strand in seen:
            continue
        seen.add(strand)
        if not strand.busy and not isinstance(strand.waiting_on, StepFuture):
            todo += _needs(strand, strand.waiting_on, strands, found, 1)
    return found


def _needs(
    strand: Strand,
    future: asyncio.Future[Any],
    strands: Collection[Strand],
    found: Survey,
    depth: int,
) -> list[Strand]:
    """The strands that can resolve a future; notes in `found` what else it may wait for."""
    if isinstance(future, StepFuture):
        return []
    if isinstance(future, asyncio.Task):
        other = strand_of(future, strands)
        if other is not None:
            return [other]
        found.world.append(future)
        return []
    children: list[asyncio.Future[Any]] | None = getattr(future, "_children", None)
    if children is not None:
        found.depth = max(found.depth, depth)
        known, others = found.made_of(future, children, strands)
        going = [other for other in known if other.task is not None]
        foreign = [child for child in others if not child.done()]
        if not going and not foreign:
            found.moving = True  # its callbacks are on their way
        needed = [o for o in going if not (o.busy or isinstance(o.waiting_on, StepFuture))]
        for child in foreign:
            needed += _needs(strand, child, strands, found, depth + 1)
        return needed
    if _is_primitive(strand.inner):
        found.racing = found.racing or _is_race(strand.inner)
        return [other for other in strands if other.joined]
    shielded = [other for other in strands if _resolves(other, future)]
    if not shielded:
        found.world.append(future)
    return shielded


def strand_of(future: asyncio.Future[Any], strands: Collection[Strand]) -> Strand | None:
    """The one of `strands` that a future is the task of, if it is any's."""
    if not isinstance(future, asyncio.Task):
        return None
    runs: object = future.get_coro()
    if isinstance(runs, Strand):  # all but the handler's own, which its host awaits
        return runs if runs in strands else None
    return next((strand for strand in strands if strand.task is future), None)


def _callbacks(strand: Strand) -> list[Any]:
    task = strand.task
    found = getattr(task, "_callbacks", None) or ()
    return [callback for callback, *_ in found]


def is_joined(strand: Strand) -> bool:
    """Does anybody wait for the task? Dropping it from a set of background tasks does not count."""
    return any(
        getattr(callback, "__name__", "") not in ("discard", "remove")
        for callback in _callbacks(strand)
    )


def _resolves(strand: Strand, future: Any) -> bool:
    """Does the end of a task resolve this very future, as in `asyncio.shield`?"""
    for callback in _callbacks(strand):
        for cell in getattr(callback, "__closure__", None) or ():
            if cell.cell_contents is future:
                return True
    return False


def _is_primitive(coroutine: Any) -> bool:
    """Is the innermost await one that other tasks answer: a lock, a queue, a group of tasks?"""
    codes = _await_chain(coroutine)
    for code in reversed(codes):
        where = code.co_filename.replace("\\", "/")
        if where.endswith(_ANYIO_BACKEND):
            return code.co_qualname in _ANYIO_PRIMITIVES
        known = [names for end, names in _ASYNCIO_PRIMITIVES.items() if where.endswith(end)]
        if not known:
            # The nearest code outside of asyncio; what it called decides.
            return code is not codes[-1]
        if known[0] is not None and code.co_name not in known[0]:
            return False
    return bool(codes)


class Alarm(NamedTuple):
    """A time-out that is set: when it is due by the loop's clock, and what makes it come now."""

    when: float
    ring: Callable[[], object]


def alarms(strand: Strand, strands: Collection[Strand]) -> list[Alarm]:
    """The time-outs of asyncio under which a strand waits; if it is under none, those of whoever
    waits for it."""
    seen: set[Strand] = set()
    level = [strand]
    while level:
        found = [alarm for one in level for alarm in _alarms_set(one.inner)]
        if found:
            return found
        seen.update(level)
        level = [
            other
            for other in strands
            if other not in seen
            and other.waiting_on is not None
            and not seen.isdisjoint(_needs(other, other.waiting_on, strands, Survey(), 1))
        ]
    return []


def _alarms_set(coroutine: Any) -> Iterator[Alarm]:
    loop = asyncio.get_running_loop()
    for awaited in _awaited(coroutine):
        # A block that is entered stands on the stack of its frame, by the method that leaves it.
        for held in gc.get_referents(awaited):
            owner = held.__self__ if isinstance(held, MethodType) else held
            if isinstance(owner, asyncio.Timeout):
                when = owner.when()
                if when is not None and not owner.expired():
                    yield Alarm(when, partial(owner.reschedule, loop.time()))
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None and _is_written_in(frame.f_code, "asyncio/tasks.py"):
            # Of `wait`, and up to Python 3.11 of `wait_for`: what ends the waiting, and when.
            handle, waiter = map(frame.f_locals.get, ("timeout_handle", "waiter"))
            if hasattr(handle, "when") and isinstance(waiter, asyncio.Future):
                yield Alarm(handle.when(), partial(resolve, cast("asyncio.Future[None]", waiter)))


def resolve(waiting: asyncio.Future[None]) -> None:
    """Let whoever waits go on, if nothing else did."""
    if not waiting.done():
        waiting.set_result(None)


def _is_written_in(code: CodeType, end: str) -> bool:
    return code.co_filename.replace("\\", "/").endswith(end)


def _is_race(coroutine: Any) -> bool:
    """Does the await end with the first of several tasks?"""
    for awaited in _awaited(coroutine):
        code = getattr(awaited, "cr_code", None)
        if code is None or not _is_written_in(code, "asyncio/tasks.py"):
            continue
        if code.co_name == "_wait_for_one":
            return True
        frame = awaited.cr_frame
        if code.co_name == "_wait" and frame is not None:
            return bool(frame.f_locals.get("return_when") == asyncio.FIRST_COMPLETED)
    return False


def _await_chain(coroutine: Any) -> list[CodeType]:
    """The code of every coroutine between the task and what it waits for, innermost last."""
    return [
        code
        for awaited in _awaited(coroutine)
        for code in (getattr(awaited, f"{kind}_code", None) for kind in ("cr", "gi", "ag"))
        if code is not None
    ]


def _awaited(coroutine: Any) -> Iterator[Any]:
    """Every coroutine between the task and what it waits for, innermost last."""
    while any(getattr(coroutine, f"{kind}_code", None) for kind in ("cr", "gi", "ag")):
        yield coroutine
        coroutine = (
            getattr(coroutine, "cr_await", None)
            or getattr(coroutine, "gi_yieldfrom", None)
            or getattr(coroutine, "ag_await", None)
        )
