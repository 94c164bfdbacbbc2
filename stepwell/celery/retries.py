"""When a task is tried again: by Celery's rules, for what they list and nothing else."""

import datetime as dt
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from stepwell.sdk.errors import ConfigurationError, RetryAfterError
from stepwell.wire import limit

_BACKOFF_EXPONENT_MAX = 60


class Retry(Exception):
    """What `Task.retry` raises: the task is tried again after `seconds`, because of `exc`."""

    def __init__(self, exc: Exception | None, seconds: float) -> None:
        super().__init__("try again" if exc is None else str(exc))
        self.exc = exc
        self.seconds = seconds


class MaxRetriesExceededError(Exception):
    """`Task.retry` was called once more than `max_retries`, and without an `exc`."""


class _Unasked(type):
    def __instancecheck__(cls, error: object) -> bool:
        return not isinstance(error, RetryAfterError)


class Unasked(Exception, metaclass=_Unasked):
    """Stands for every exception by which a task does not ask for another try: such an exception
    ends the task as the class it is."""


@dataclass(frozen=True, slots=True)
class RetryRules:
    """When a task is tried again.

    `backoff` is the factor of exponential waits in seconds, 0 for none; `backoff_max` their limit,
    `jitter` whether they are drawn between nothing and that. `delay` is the wait without backoff.
    """

    retried: tuple[type[Exception], ...] = ()
    never: tuple[type[Exception], ...] = ()
    retries_max: int = 3
    delay: float = 180.0
    backoff: float = 0.0
    backoff_max: float = 600.0
    jitter: bool = True

    def asks(self, error: Exception) -> bool:
        """Is the task tried again for this exception, without asking for it?"""
        return isinstance(error, self.retried) and not isinstance(error, self.never)

    def seconds(self, retries: int) -> float:
        """How long to wait after so many retries."""
        if not self.backoff:
            return self.delay
        longest = self.backoff * 2.0 ** min(retries, _BACKOFF_EXPONENT_MAX)
        longest = min(longest, self.backoff_max)
        return random.uniform(0, longest) if self.jitter else longest


def rules_of(task: str, given: Mapping[str, Any]) -> RetryRules:
    """The rules a task's options say. Raises ConfigurationError for what cannot be meant."""
    kwargs = dict(given.get("retry_kwargs") or {})
    retries_max = kwargs.pop("max_retries", given.get("max_retries", 3))
    delay = kwargs.pop("countdown", given.get("default_retry_delay", 180))
    if kwargs:
        raise ConfigurationError(
            f'task "{task}": retry_kwargs has {sorted(kwargs)}: give max_retries and countdown'
        )
    if not isinstance(retries_max, int) or not 0 <= retries_max <= limit.RETRIES_MAX:
        raise ConfigurationError(
            f'task "{task}": max_retries = {retries_max!r}: give a number from 0 to'
            f" {limit.RETRIES_MAX}; nothing is retried for ever"
        )
    return RetryRules(
        retried=_classes(task, "autoretry_for", given),
        never=_classes(task, "dont_autoretry_for", given),
        retries_max=retries_max,
        delay=float(delay),
        backoff=float(given.get("retry_backoff") or 0),
        backoff_max=float(given.get("retry_backoff_max", 600)),
        jitter=bool(given.get("retry_jitter", True)),
    )


def _classes(task: str, option: str, given: Mapping[str, Any]) -> tuple[type[Exception], ...]:
    found: object = given.get(option) or ()
    several = cast("Iterable[object]", found) if isinstance(found, Iterable) else (found,)
    classes = tuple(several)
    for one in classes:
        if not isinstance(one, type) or not issubclass(one, Exception):
            raise ConfigurationError(
                f'task "{task}": {option} has {one!r}: give classes of exceptions'
            )
    return cast("tuple[type[Exception], ...]", classes)


def later(message: str, seconds: float) -> RetryAfterError:
    """What has the step tried again after so many seconds."""
    return RetryAfterError(message, dt.timedelta(seconds=max(seconds, 0.0)), quiet=True)
