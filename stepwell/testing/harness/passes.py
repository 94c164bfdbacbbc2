"""How often a test is gone through, and under what: once, once for each point at which its process
may die, or in several orders. The only place that compares one pass with another."""

from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from stepwell.server.engine.row.run import RunStatus
from stepwell.testing.harness.errors import HarnessError
from stepwell.testing.harness.order import Order, SeededOrder
from stepwell.testing.harness.points import Points
from stepwell.testing.harness.run import Run

ORDERS_MAX = 10_000


class Ended(NamedTuple):
    """How a run ended, as far as a crash must not change it."""

    function: str
    status: str
    told: str


class Tested(Protocol):
    """The harness, as passes ask it."""

    def begin(self, points: Points | None, order: Order | None) -> None:
        """Begin anew, under this."""
        ...

    def runs(self) -> list[Run]:
        """All runs of the pass."""
        ...


class Pass:
    """One pass through a test. As a context manager, around it."""

    def __init__(
        self,
        harness: Tested,
        told: str,
        points: Points | None = None,
        order: Order | None = None,
        like: "Pass | None" = None,
    ) -> None:
        """`told` says under what, for a failure; the runs are to end as those of `like`."""
        self.points = points
        self._harness = harness
        self._told = told
        self._order = order
        self._like = like
        self.ended: Counter[Ended] = Counter()

    def __enter__(self) -> Self:
        """Begin anew."""
        self._harness.begin(self.points, self._order)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say under what the test failed, or compare how its runs ended."""
        if error is not None:
            if self._told:
                error.add_note(self._told)
            return
        self.ended = Counter(_ended(run) for run in self._harness.runs())
        if self._like is not None:
            self._compare(self._like)

    def _compare(self, like: "Pass") -> None:
        if self.points is not None and not self.points.has_struck:
            raise HarnessError(
                f"{self._told}: the test did not come there the second time. It must go the same"
                " way each time: make what it uses anew inside it, and draw nothing by chance"
            )
        if self.ended != like.ended:
            more, less = self.ended - like.ended, like.ended - self.ended
            raise AssertionError(
                f"{self._told}: the runs ended otherwise than without it.\n"
                f"with it: {_listed(more)}\nwithout: {_listed(less)}"
            )


def passes(
    harness: Tested, *, crash_everywhere: bool = False, orders: int = 0, order: int | None = None
) -> Iterator[Pass]:
    """The passes of a test. Each is to be entered, and its engine stopped, before the next is asked
    for.

    Raises HarnessError for what cannot be meant.
    """
    if isinstance(orders, bool) or not 0 <= orders <= ORDERS_MAX:
        raise HarnessError(f"orders = {orders!r}: give how many, from 1 to {ORDERS_MAX}")
    if orders and (crash_everywhere or order is not None):
        raise HarnessError("orders: explore orders alone, or name one with order=")
    fixed = None if order is None else SeededOrder(order)
    if crash_everywhere:
        first = Pass(harness, "", Points(), fixed)
        yield first
        assert first.points is not None
        for place, point in enumerate(first.points.met):
            told = f"with {point} (point {place + 1} of {len(first.points.met)})"
            yield Pass(harness, told, Points(place), fixed, first)
    elif orders:
        for seed in range(1, orders + 1):
            told = f"in the order of seed {seed}: @pytest.mark.stepwell(order={seed}) repeats it"
            yield Pass(harness, told, None, SeededOrder(seed))
    else:
        yield Pass(harness, "", None, fixed)


def _ended(run: Run) -> Ended:
    error = run.error
    if run.status == RunStatus.COMPLETED.word:
        return Ended(run.function, run.status, repr(run.result))
    return Ended(run.function, run.status, "" if error is None else f"{error}")


def _listed(ended: Counter[Ended]) -> str:
    lines = [
        f"{count} × {one.function} {one.status.lower()}: {one.told}" for one, count in ended.items()
    ]
    return "; ".join(sorted(lines)) or "nothing more"
