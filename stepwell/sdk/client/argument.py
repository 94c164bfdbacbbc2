"""Arguments of the wrong kind, told when they are given: the only place that judges kinds.

Types tell the same to checkers; this is for code without one. Pure.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias, cast

from stepwell.sdk.function.option import (
    Backlog,
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Fairness,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.sdk.step.limit import Limit, LimitBy
from stepwell.wire import limit

Expected: TypeAlias = tuple[tuple[type, ...], str]
"""The kinds an argument may be of, and what to give, in words."""

_TEXT: Expected = ((str,), "text")
_FLAG: Expected = ((bool,), "True or False")
_URL: Expected = ((str,), 'a URL, such as "http://127.0.0.1:8288"')
_LENGTH: Expected = ((int, dt.timedelta), "milliseconds or a timedelta")
_COUNT: Expected = ((int,), "a whole number")
_SEVERAL: Expected = ((list, tuple), "a list")

CLIENT: Mapping[str, Expected] = {
    "ai_metadata": _FLAG,
    "api_base_url": _URL,
    "app_version": _TEXT,
    "base_url": _URL,
    "checkpointing": _FLAG,
    "env": _TEXT,
    "event_api_base_url": _URL,
    "event_key": _TEXT,
    "is_dev": _FLAG,
    "is_production": _FLAG,
    "logs": _FLAG,
    "middleware": _SEVERAL,
    "request_timeout": _LENGTH,
    "send_retries": _COUNT,
    "send_timeout": _LENGTH,
    "session_propagation": _FLAG,
    "serve_host": _URL,
    "serve_origin": _URL,
    "serve_path": ((str,), 'a path, such as "/api/inngest"'),
    "shares_database": _FLAG,
    "signing_key": _TEXT,
    "signing_key_fallback": _TEXT,
}
"""What the client takes."""

SEND: Mapping[str, Expected] = {
    "all_or_nothing": _FLAG,
    "env": _TEXT,
    "seed": _TEXT,
    "skip_middleware": _FLAG,
    "split": _FLAG,
}
"""What `send` takes."""

FUNCTION: Mapping[str, Expected] = {
    "backlog": ((Backlog,), "Backlog(limit=...)"),
    "batch_events": ((Batch,), "Batch(max_size=...)"),
    "cancel": ((list, tuple), "a list such as [Cancel(event=...)]"),
    "checkpointing": _FLAG,
    "code_version": _TEXT,
    "concurrency": ((list, tuple), "a list such as [Concurrency(limit=...)]"),
    "debounce": ((Debounce,), "Debounce(period=...)"),
    "description": ((str,), "a sentence or two about the function"),
    "fairness": ((Fairness,), "Fairness(key=...)"),
    "idempotency": ((str,), 'an expression, such as "event.data.order_id"'),
    "limits": ((list, tuple), 'a list such as [limit("openai")]'),
    "middleware": _SEVERAL,
    "name": _TEXT,
    "on_code_change": ((str,), '"continue", "pin", "pause" or "restart"'),
    "priority": ((Priority,), "Priority(run=...)"),
    "rate_limit": ((RateLimit,), "RateLimit(limit=..., period=...)"),
    "retries": _COUNT,
    "run_concurrency": ((list, tuple), "a list such as [Concurrency(limit=...)]"),
    "singleton": ((Singleton,), 'Singleton(mode="skip") or Singleton(mode="cancel")'),
    "throttle": ((Throttle,), "Throttle(limit=..., period=...)"),
    "timeouts": ((Timeouts,), "Timeouts(start=...) or Timeouts(finish=...)"),
}
"""What a function takes."""

_MEMBERS: Mapping[str, type | tuple[type, ...]] = {
    "cancel": Cancel,
    "concurrency": Concurrency,
    "limits": (Limit, LimitBy),
    "run_concurrency": Concurrency,
}
_COUNTS: Mapping[str, tuple[float, str]] = {
    "retries": (limit.RETRIES_MAX, f"0 to {limit.RETRIES_MAX}"),
    "send_retries": (math.inf, "0 or more"),
}
_SHOWN_CHARS = 60


def problem_of(given: Mapping[str, object], expected: Mapping[str, Expected]) -> str | None:
    """What is wrong with the first argument of a wrong kind, or None. None means "not given"."""
    for name, (kinds, words) in expected.items():
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            return f"{name} = {_shown(value)}: give {words}"
        most, span = _COUNTS.get(name, (math.inf, ""))
        if span and not 0 <= cast(int, value) <= most:
            return f"{name} = {_shown(value)}: give {span}"
        if name not in _MEMBERS:
            continue
        for index, member in enumerate(cast("Sequence[object]", value)):
            if not isinstance(member, _MEMBERS[name]):
                return f"{name}[{index}] = {_shown(member)}: give {words}"
    return None


def similar(name: str, known: Mapping[str, object]) -> str:
    """A hint at the known name that was probably meant; empty if none comes near."""
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_CHARS]
