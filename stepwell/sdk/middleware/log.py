"""The logger handlers receive: silent while known steps are gone through again.

Each line carries what it belongs to: run, event, function, attempt. Works with the standard
library's loggers, and with any object that has `info`, `error` and the like.
Source: features E-140 to E-145.
"""

import logging
from collections.abc import MutableMapping
from typing import Any, Protocol, TypeAlias, cast

Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"


class Phase(Protocol):
    """What a logger needs to know of its call."""

    fresh: bool
    """New code runs now."""


class CallLogger(logging.LoggerAdapter[Any]):
    """A standard logger for one call. Nothing is logged twice because of a replay."""

    def __init__(self, logger: Logger, phase: Phase, facts: dict[str, object]) -> None:
        super().__init__(logger, facts)
        self._phase = phase

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the library's name
        """Is a line of this level written now?"""
        return self._phase.fresh and self.logger.isEnabledFor(level)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what the line belongs to, beside the caller's own `extra`."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


_METHODS = frozenset(
    {"trace", "debug", "info", "success", "warn", "warning", "error", "exception", "critical"}
    | {"log", "msg", "fatal"}
)


def _silent(*_: object, **__: object) -> None:
    """A line that was written by an earlier call."""


class ForeignLogger:
    """Any other logger for one call, such as structlog's or loguru's."""

    def __init__(self, logger: Any, phase: Phase, facts: dict[str, object]) -> None:
        self._logger = _bound(logger, facts)
        self._phase = phase

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS and not self._phase.fresh:
            return _silent
        return getattr(self._logger, name)


def _bound(logger: Any, facts: dict[str, object]) -> Any:
    """The logger with facts attached, if it knows how; else as it is."""
    for way in ("bind", "child"):
        make = getattr(logger, way, None)
        if callable(make):
            try:
                return make(**facts) if way == "bind" else make(facts)
            except Exception:  # noqa: BLE001 - a logger must never fail a run
                return logger
    return logger


def call_logger(logger: Any, phase: Phase, facts: dict[str, object]) -> Any:
    """The logger of one call."""
    if isinstance(logger, logging.Logger | logging.LoggerAdapter):
        return CallLogger(cast(Logger, logger), phase, facts)
    return ForeignLogger(logger, phase, facts)
