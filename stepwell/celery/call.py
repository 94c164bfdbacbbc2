"""One call of a task: what was asked, as it travels, and what the task knows of it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from stepwell.sdk.errors import ConfigurationError

When = dt.datetime | float | int
"""An instant, or a number of seconds from now."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a bound task knows of its call, as `self.request`.

    `retries` counts from 0; `called_directly` says that no server is involved.
    """

    id: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    retries: int = 0
    called_directly: bool = True


REQUEST: ContextVar[Request] = ContextVar("stepwell_celery_request", default=Request())  # noqa: B039
"""The call that runs here."""


def message(
    args: Iterable[Any],
    kwargs: Mapping[str, Any] | None,
    countdown: float | None,
    eta: dt.datetime | None,
    expires: When | None,
) -> dict[str, object]:
    """A call as the data of an event. Raises ConfigurationError for `countdown` beside `eta`."""
    if countdown is not None and eta is not None:
        raise ConfigurationError(f"countdown = {countdown!r}: eta says when already: remove one")
    found: dict[str, object] = {"args": list(args), "kwargs": dict(kwargs or {})}
    if countdown is not None:
        found["countdown"] = float(countdown)
    if eta is not None:
        found["eta"] = _instant(eta)
    if expires is not None:
        found["expires"] = _instant(expires) if isinstance(expires, dt.datetime) else float(expires)
    return found


def expired(data: Mapping[str, Any], sent: dt.datetime, now: dt.datetime) -> bool:
    """Is it too late for a call that was sent at a time?"""
    expires = data.get("expires")
    if expires is None:
        return False
    if isinstance(expires, str):
        return now > dt.datetime.fromisoformat(expires)
    return now > sent + dt.timedelta(seconds=float(expires))


def _instant(given: dt.datetime) -> str:
    return given.astimezone(dt.UTC).isoformat()
