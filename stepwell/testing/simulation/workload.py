"""What random users do: functions, and the names they speak of. Drawn from a seed, so that a run of
the simulator can be repeated. The only place that decides how wild a simulated world is.
"""

from random import Random
from typing import Literal, TypeAlias

import msgspec

from stepwell.server.engine.row.run import AppRow, FunctionRow
from stepwell.testing.simulation.model import (
    Await,
    Body,
    Do,
    Fetch,
    Invoke,
    Listen,
    Nap,
    Program,
    Send,
    Statement,
    Stumble,
    Together,
)
from stepwell.wire.event import FUNCTION_FAILED, FUNCTION_FINISHED
from stepwell.wire.function_config import Cancel, FunctionConfig, Trigger, encode_function

APP = "sim"
SECOND_MS = 1_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000

STARTS = ("start/a", "start/b", "start/c")
NEWS = ("news/x", "news/y")
STOP = "stop/all"
CHAIN = "chain/on"
"""What a function may send to start another. The last function listens, and sends it not."""

SIGNALS = ("bell", "horn")
THRESHOLD = 3
"""Some functions start only for events whose `data.n` is greater."""

Pace: TypeAlias = Literal["short", "long", "plain"]
"""`short` times are at most minutes, `long` ones weeks; in a `plain` world nothing that happens
depends on when it happens."""


class Fn(msgspec.Struct, frozen=True):
    """A function of the simulated app: its program, and what it registers."""

    slug: str
    program: Program
    triggers: tuple[str, ...]
    picky: bool = False
    retries: int = 4
    cancels: tuple[Cancel, ...] = ()
    cron: str = ""
    controls: dict[str, object] = msgspec.field(default_factory=dict[str, object])

    def config(self) -> FunctionConfig:
        """Its registration."""
        condition = f"event.data.n > {THRESHOLD}" if self.picky else ""
        events = tuple(Trigger(event=name, expression=condition) for name in self.triggers)
        crons = (Trigger(cron=self.cron),) if self.cron else ()
        plain = FunctionConfig(
            id=self.slug,
            name=self.slug,
            url="http://sim.test/api",
            triggers=(*events, *crons),
            retries=self.retries,
            cancel=self.cancels,
        )
        return msgspec.structs.replace(plain, **self.controls)

    def wants(self, event_name: str, number: int) -> bool:
        """Whether an event starts it."""
        return event_name in self.triggers and (not self.picky or number > THRESHOLD)


def app_row(version: int, now_ms: int) -> AppRow:
    """The simulated app, as its `version`-th deployment."""
    return AppRow(APP, "http://sim.test/api", "serve", "model", "", "", str(version), now_ms)


def rows(functions: list[Fn], now_ms: int) -> tuple[FunctionRow, ...]:
    """The functions as they are registered."""
    return tuple(
        FunctionRow(fn.slug, APP, fn.slug, encode_function(fn.config()), 1, now_ms)
        for fn in functions
    )


class Author:
    """Writes random functions."""

    def __init__(self, chance: Random, pace: Pace = "short") -> None:
        self._chance = chance
        self._pace = pace
        self._ids = 0

    def functions(self) -> list[Fn]:
        """Two to five functions; later ones may be invoked by earlier ones, so that no chain of
        invocations comes round."""
        count = self._chance.randint(2, 5)
        slugs = [f"{APP}-fn{number}" for number in range(count)]
        made = [self._function(slug, slugs[n + 1 :]) for n, slug in enumerate(slugs)]
        if self._chance.random() < 0.3 and self._pace != "plain":
            made.append(self._listener())
        return made

    def _function(self, slug: str, children: list[str]) -> Fn:
        draw = self._chance
        program = Program(
            body=self.body(children, depth=0),
            live=draw.random() < 0.4,
            version=1 if draw.random() < 0.15 else 2,
            polite=draw.random() < 0.5,
        )
        cancels: tuple[Cancel, ...] = ()
        if draw.random() < 0.3 and self._pace != "plain":
            condition = "async.data.k == event.data.k" if draw.random() < 0.6 else ""
            cancels = (Cancel(event=STOP, condition=condition),)
        return Fn(
            slug=slug,
            program=program,
            triggers=(*draw.sample(STARTS, draw.randint(1, 2)), *(() if children else (CHAIN,))),
            picky=draw.random() < 0.3,
            retries=draw.choice((0, 1, 3, 4)),
            cancels=cancels,
        )

    def _listener(self) -> Fn:
        """A function that hears how others end."""
        body: Body = (self._do(), self._do()) if self._chance.random() < 0.5 else (self._do(),)
        name = self._chance.choice((FUNCTION_FAILED, FUNCTION_FINISHED))
        return Fn(slug=f"{APP}-listener", program=Program(body), triggers=(name,))

    def body(self, children: list[str], depth: int, *, calm: bool = False) -> Body:
        """Some statements. A `calm` body never fails as a whole."""
        count = self._chance.randint(1, 4 if depth == 0 else 2)
        statements = [self._statement(children, depth, calm=calm) for _ in range(count)]
        if depth == 0 and self._chance.random() < 0.2:
            # The same id again, where the order of encounter is the same in every replay.
            again = self._do()
            statements += [again, again]
        return tuple(statements)

    def _statement(self, children: list[str], depth: int, *, calm: bool) -> Statement:
        draw = self._chance
        if self._pace == "plain":
            kinds = ("do", "nap", "together", "stumble") if depth == 0 else ("do", "nap")
            kind = draw.choice(kinds)
        else:
            kind = self._kind(depth, calm=calm)
        match kind:
            case "send":
                return Send(self._id(), draw.choice((*NEWS, STOP, CHAIN if children else STOP)))
            case "nap":
                return Nap(self._id(), self._time())
            case "await":
                condition = "async.data.k == event.data.k" if draw.random() < 0.5 else ""
                look_back = self._ids % 2 == 0
                return Await(self._id(), draw.choice(NEWS), self._time(), condition, look_back)
            case "listen":
                conflict = "replace" if draw.random() < 0.7 or calm else "fail"
                return Listen(self._id(), draw.choice(SIGNALS), self._time(), conflict)
            case "invoke" if children:
                caught = calm or draw.random() < 0.7
                timeout = self._time() if draw.random() < 0.5 else None
                return Invoke(self._id(), draw.choice(children), timeout, caught)
            case "fetch":
                return Fetch(self._id())
            case "together":
                return self._together(children, depth)
            case "stumble":
                return self._stumble()
            case _:
                return self._do(calm=calm)

    def _kind(self, depth: int, *, calm: bool) -> str:
        return self._chance.choices(
            ("do", "send", "nap", "await", "listen", "invoke", "fetch", "together", "stumble"),
            (40, 8, 12, 12, 4, 10, 4, 18 if depth < 2 else 0, 0 if calm or depth else 8),
        )[0]

    def _together(self, children: list[str], depth: int) -> Together:
        draw = self._chance
        race = draw.random() < 0.4 and self._pace != "plain"
        branches = [self.body(children, depth + 1, calm=True) for _ in range(draw.randint(2, 3))]
        return Together(tuple(branches), race, told=draw.random() < 0.7)

    def _stumble(self) -> Stumble:
        draw = self._chance
        asked = draw.choice((None, None, 1_000, 20_000))
        return Stumble(draw.choice((1, 1, 2, 6)), draw.random() < 0.1, asked)

    def _do(self, *, calm: bool = False) -> Do:
        draw = self._chance
        return Do(
            id=self._id(),
            failures=draw.choices((0, 1, 2, 9), (70, 15, 8, 7))[0],
            fatal=draw.random() < 0.05,
            caught=calm or draw.random() < 0.6,
            retry_after_ms=2_000 if draw.random() < 0.1 else None,
        )

    def _id(self) -> str:
        self._ids += 1
        return f"s{self._ids}"

    def _time(self) -> int:
        if self._pace == "long" and self._chance.random() < 0.3:
            return self._chance.choice((1, 7, 40)) * DAY_MS
        return self._chance.choice((0, 1, 100, SECOND_MS, 10 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS))
