"""The kinds of what a worker is told: the wrong ones are named with their value and what to give.

Types tell the same to checkers; this is for code without one. Pure.
"""

import datetime as dt
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from stepwell.sdk.client.argument import Expected
from stepwell.sdk.errors import ConfigurationError

PORT_MAX = 65_535
_TEXT: Expected = ((str,), "text")
_FLAG: Expected = ((bool,), "True or False")
_COUNT: Expected = ((int,), "a whole number above 0")
_SECONDS: Expected = ((int, float, dt.timedelta), "a positive number of seconds, or a timedelta")
_SIGNALS: Expected = ((list, tuple, set, frozenset), "a list such as [signal.SIGTERM]")
_KEY: Expected = ((str,), "the key as text")

WORKER: Mapping[str, Expected] = {
    "instance_id": _TEXT,
    "rewrite_gateway_endpoint": ((Callable,), "a function from one URL to another"),  # type: ignore[dict-item]
    "gateway_url": ((str,), 'a URL, such as "ws://gateway:8289"'),
    "shutdown_signals": _SIGNALS,
    "handle_shutdown_signals": _SIGNALS,
    "max_worker_concurrency": _COUNT,
    "signing_key": _KEY,
    "signing_key_fallback": _KEY,
    "on_state_change": ((Callable,), "a function that takes a ConnectionState"),  # type: ignore[dict-item]
    "outbox_directory": ((str, os.PathLike), "the path of a directory"),
    "outbox_bytes_max": ((int,), "a positive number of bytes"),
    "give_up_after": _SECONDS,
    "shutdown_timeout": _SECONDS,
    "executor": ((str, Mapping), '"thread" or "process", or a mapping by function id'),
    "processes": _COUNT,
    "isolate_execution": _FLAG,
    "loop_lag_warning": _SECONDS,
    "health_port": ((int,), f"a port from 0 to {PORT_MAX}"),
    "health_host": ((str,), 'an address, such as "127.0.0.1"'),
    "max_requests": _COUNT,
    "max_rss_bytes": _COUNT,
}
"""What `connect` takes besides its apps."""

_NEVER_HEARD = frozenset({"SIGKILL", "SIGSTOP"})


def port_problem(name: str, port: int | None) -> str | None:
    """What is wrong with a port; None: nothing."""
    if port is None or 0 <= port <= PORT_MAX:
        return None
    return f"{name} = {port!r}: give a port from 0 to {PORT_MAX}"


def caught(name: str, told: Sequence[object]) -> tuple[signal.Signals, ...]:
    """The signals told. Raises ConfigurationError for what is none, or cannot be caught."""
    found: list[signal.Signals] = []
    for index, one in enumerate(told):
        number = _signal(one)
        if number is None:
            raise ConfigurationError(
                f"{name}[{index}] = {one!r}: give a signal, such as signal.SIGTERM"
            )
        if number.name in _NEVER_HEARD:
            raise ConfigurationError(
                f"{name}[{index}] = {one!r}: no process can catch {number.name}; leave it out"
            )
        found.append(number)
    return tuple(found)


def _signal(told: object) -> signal.Signals | None:
    try:
        return signal.Signals(told) if isinstance(told, int) else None
    except ValueError:
        return None


def several(name: str, told: object, give: str) -> tuple[object, ...]:
    """The members of what should be a list. Raises ConfigurationError where it is none."""
    if isinstance(told, str) or not isinstance(told, Iterable):
        raise ConfigurationError(f"{name} = {told!r}: give {give}")
    return tuple(cast("Iterable[object]", told))
