"""Named limits as user code says them: what a function or a step takes of something that is shared.

The only place that judges their arguments. Pure, but for `used`, which speaks of the step it is
called in.
"""

from collections.abc import Iterable
from typing import cast

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step.suspension import HOME, INSIDE_STEP
from stepwell.sdk.value.codec import CodecError, encode_any
from stepwell.sdk.value.duration import Duration, whole_seconds
from stepwell.wire import limit as limits
from stepwell.wire.named_limit import (
    FunctionLimit,
    LimitUsed,
    StepLimit,
    name_problems,
    number_problems,
)


class Limit(msgspec.Struct, frozen=True):
    """A limit that functions and steps share by its name; made by `limit`."""

    name: str = ""
    concurrency: int = 0
    rate: int = 0
    period: str = ""

    def by(self, *, key: str | None = None, weight: str | int | None = None) -> "LimitBy":
        """The limit for a function: each value of `key`, an expression, is counted by itself;
        a run weighs `weight`, an expression or a number, 1 by default. Raises
        ConfigurationError."""
        if key is not None and not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            told = f"{self._told}.by(key) = {key!r}"
            raise ConfigurationError(f"{told}: give an expression, such as event.data.user")
        if weight is not None and not isinstance(weight, str):
            _whole(f"{self._told}.by(weight)", weight, 1, limits.NAMED_WEIGHT_MAX)
        return LimitBy(self, key or "", "" if weight is None else str(weight))

    def take(self, weight: int = 1, *, key: object = None) -> "LimitTake":
        """The limit for a step that takes `weight` of it; each `key`, any JSON value, is counted by
        itself. Raises ConfigurationError."""
        _whole(f"{self._told}.take(weight)", weight, 1, limits.NAMED_WEIGHT_MAX)
        return LimitTake(self, weight, _key(self._told, key))

    def used(self, amount: int, *, key: object = None) -> None:
        """Say, inside a step that takes the limit, how much of it was used after all.

        With a limit per period the rest is taken, or what was too much is given back, when the step
        ends. With one of what is under way at once there is nothing to correct. Raises
        ConfigurationError outside such a step.
        """
        _whole(f"{self._told}.used(amount)", amount, 0, limits.NAMED_WEIGHT_MAX)
        home, step = HOME.get(), INSIDE_STEP.get()
        taken = [] if home is None or step is None else home.taken.get(step.hashed, [])
        wanted = _key(self._told, key)
        for one in taken:
            if one.asked.name == self.name and one.asked.key == wanted:
                one.used = amount
                return
        raise ConfigurationError(
            f"{self._told}.used({amount}): no step runs here that takes this limit: call it in the"
            " handler of a step, with the limit in its limits=[...]"
        )

    @property
    def _told(self) -> str:
        return f'limit("{self.name}")' if self.name else "limit()"


class LimitBy(msgspec.Struct, frozen=True):
    """A limit, and how a function stands under it."""

    limit: Limit
    key: str = ""
    weight: str = ""


class LimitTake(msgspec.Struct, frozen=True):
    """A limit, and what a step takes of it; `key` is JSON text."""

    limit: Limit
    weight: int = 1
    key: str = ""


class Taken(msgspec.Struct):
    """What a step that runs took of a limit, and used of it, if it said so."""

    asked: StepLimit
    used: int | None = None


def limit(
    name: str = "",
    *,
    concurrency: int | None = None,
    rate: int | None = None,
    period: Duration | None = None,
) -> Limit:
    """A limit with a name, for functions (`limits=[...]`) and for steps (`step.run(limits=[...])`).

    It counts what is under way at once, with `concurrency`, or what begins per `period` (1 second
    to 7 days), with `rate`. Whoever gives it the same name shares it; the numbers hold until an
    operator changes them. A name alone leaves the numbers to others. Without a name it is one of
    the step's own. Raises ConfigurationError. Ours: other servers ignore limits.
    """
    told = f'limit("{name}")' if name else "limit()"
    if concurrency is not None:
        _whole(f"{told}: concurrency", concurrency, 1, limits.NAMED_CONCURRENCY_MAX)
    if rate is not None:
        _whole(f"{told}: rate", rate, 1, limits.NAMED_RATE_MAX)
    try:
        length = whole_seconds(period) or ""
    except ValueError as error:
        raise ConfigurationError(f"{told}: period = {period!r}: {error}") from None
    made = Limit(name, concurrency or 0, rate or 0, length)
    problems = [] if name == "" else list(name_problems("name", name))
    problems += number_problems("", made.concurrency, made.rate, made.period)
    if not (name or made.concurrency or made.rate):
        problems.append("give it a name, or numbers: concurrency, or rate and period")
    if problems:
        raise ConfigurationError(f"{told}: {'; '.join(problems)}")
    return made


def of_function(given: Iterable[Limit | LimitBy]) -> tuple[FunctionLimit, ...]:
    """What a function registers. Raises ConfigurationError for a limit without a name."""
    found: list[FunctionLimit] = []
    for one in given:
        by = one if isinstance(one, LimitBy) else LimitBy(one)
        shared = by.limit
        if not shared.name:
            raise ConfigurationError(
                "limits: a limit of a function needs a name, as in limit('gpu', concurrency=2);"
                " for one of its own, use concurrency or throttle"
            )
        numbers = (shared.concurrency, shared.rate, shared.period)
        found.append(FunctionLimit(shared.name, by.key, by.weight, *numbers))
    return tuple(found)


def of_step(step_id: str, given: object) -> tuple[StepLimit, ...]:
    """What a step takes. Raises ConfigurationError, naming the step and what was given."""
    if not given:
        return ()
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f'step "{step_id}": limits = {given!r}: give a list of limits')
    entries = cast("list[object]", given)
    most = limits.NAMED_LIMITS_MAX
    if len(entries) > most:
        raise ConfigurationError(
            f'step "{step_id}": limits has {len(entries)}: give {most} or less'
        )
    found: list[StepLimit] = []
    for index, one in enumerate(entries):
        take = LimitTake(one) if isinstance(one, Limit) else one
        if not isinstance(take, LimitTake):
            fix = 'give limit("name"), or limit("name").take(n)'
            raise ConfigurationError(f'step "{step_id}": limits[{index}] = {one!r}: {fix}')
        shared = take.limit
        numbers = (shared.concurrency, shared.rate, shared.period)
        found.append(StepLimit(shared.name, take.key, take.weight, *numbers))
    if len({(one.name, one.key) for one in found}) < len(found):
        raise ConfigurationError(
            f'step "{step_id}": limits has one twice with the same key: add up what it takes'
        )
    return tuple(found)


def uses(taken: Iterable[Taken]) -> tuple[LimitUsed, ...]:
    """What differs from what was taken."""
    return tuple(
        LimitUsed(one.asked.name, one.asked.key, one.used - one.asked.weight)
        for one in taken
        if one.used is not None and one.used != one.asked.weight
    )


def _whole(told: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(f"{told} = {value!r}: give a whole number, {least} to {most}")


def _key(told: str, key: object) -> str:
    """The key as JSON text."""
    if key is None:
        return ""
    try:
        return bytes(encode_any(key)).decode()
    except CodecError as error:
        raise ConfigurationError(f"{told}: key = {key!r}: {error}") from None
