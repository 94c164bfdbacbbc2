"""The logger handlers receive: silent while known steps are gone through again.

Each line carries what it belongs to: run, event, function, attempt, and the step it was written
in as `step_id`. Works with the standard library's loggers, and with any object that has `info`,
`error` and the like; `ReplayFilter` does as much for loggers that are not `ctx.logger`.
"""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from inspect import Parameter, iscoroutinefunction, signature
from types import FunctionType
from typing import Any, Protocol, TypeAlias, cast

from stepwell.sdk.step.gathered import level_of
from stepwell.sdk.step.suspension import HOME, INSIDE_STEP

Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"


own_logger = logging.getLogger("stepwell")
"""Where the SDK and `ctx.logger` write if a client is given no logger."""


def set_own_level(level: int) -> None:
    """From now on write lines of this level and above; to standard error if nobody else would."""
    own_logger.setLevel(level)
    if not own_logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        own_logger.addHandler(handler)


def is_kept(logger: Logger, level: int) -> bool:
    """Is a line of this level one that the server is to keep? What the logger writes is; and from
    INFO on where nobody chose a level, for the standard library writes warnings alone then."""
    return logger.isEnabledFor(level) or (level >= logging.INFO and not _is_chosen(logger, level))


def _is_chosen(logger: Logger, level: int) -> bool:
    """Did somebody say that lines of this level are not written?"""
    found: Any = logger
    while isinstance(found, logging.LoggerAdapter):
        found = cast(Any, found).logger
    if not isinstance(found, logging.Logger) or found.manager.disable >= level:
        return True
    while found.parent is not None:
        if found.level != logging.NOTSET:
            return True
        found = found.parent
    return bool(found.level != logging.WARNING)


class Phase(Protocol):
    """What a logger needs to know of its call."""

    fresh: bool
    """New code runs now."""
    keeps_logs: bool
    """The server keeps what is written."""

    def log(
        self,
        level: int,
        message: object,
        args: tuple[Any, ...],
        more: Mapping[str, Any],
        *,
        braces: bool = False,
    ) -> None:
        """Take a line that is written now, for the server to keep."""
        ...


_METHODS = frozenset(
    {"trace", "debug", "info", "success", "warn", "warning", "error", "exception", "critical"}
    | {"log", "msg", "fatal"}
)


_AWAITED = {f"a{name}": name for name in _METHODS}
"""structlog's methods that are awaited, and whose lines they write."""


def _silent(*_: object, **__: object) -> None:
    """A line that was written by an earlier call."""


async def _silent_awaited(*_: object, **__: object) -> None:
    """The same, where it is awaited."""


class CallLogger(logging.LoggerAdapter[Any]):
    """A standard logger for one call. Nothing is logged twice because of a replay."""

    def __init__(self, logger: Logger, phase: Phase, facts: dict[str, object]) -> None:
        super().__init__(logger, facts)
        self._phase = phase
        self.wrote = False
        """Was a line written?"""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the library's name
        """Is a line of this level written now, or kept?"""
        return self._phase.fresh and is_kept(self.logger, level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a line of this level, and have the server keep it."""
        if not self.isEnabledFor(level):
            return
        self._phase.log(level, msg, args, kwargs)
        if self.logger.isEnabledFor(level):
            _library_log(self, level, msg, *args, **kwargs)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what the line belongs to, beside the caller's own `extra`."""
        self.wrote = True
        kwargs["extra"] = {**(self.extra or {}), **_place(), **(kwargs.get("extra") or {})}
        return msg, kwargs

    def flush(self) -> None:
        """Have every handler write what it holds back; nothing if no line was written."""
        if not self.wrote:
            return
        found: Any = self.logger
        while isinstance(found, logging.LoggerAdapter):
            found = cast(Any, found).logger
        while found is not None:
            for handler in found.handlers:
                handler.flush()
            found = found.parent if found.propagate else None


class UsersCallLogger(CallLogger):
    """The same for a class of the user's: its own methods are called, and those it adds."""

    def __getattribute__(self, name: str) -> Any:
        if name not in _METHODS:
            return super().__getattribute__(name)
        method = getattr(self.logger, name)
        return partial(_written, self, self._phase, name, method) if self._phase.fresh else _silent

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logger, name)


def _written(
    logger: UsersCallLogger,
    phase: Phase,
    name: str,
    method: Callable[..., Any],
    *args: Any,
    **more: Any,
) -> Any:
    if is_kept(logger.logger, level_of(name, args)):
        _tell(phase, name, args, more)
    said = signature(method).parameters
    if "extra" in said or any(one.kind is Parameter.VAR_KEYWORD for one in said.values()):
        logger.process(None, more)
    logger.wrote = True
    return method(*args, **more)


def _told(
    phase: Phase,
    name: str,
    method: Callable[..., Any],
    braces: bool,
    *args: Any,
    **more: Any,
) -> Any:
    _tell(phase, name, args, more, braces=braces)
    return method(*args, **more)


def _tell(
    phase: Phase, name: str, args: tuple[Any, ...], more: Mapping[str, Any], *, braces: bool = False
) -> None:
    """Have the server keep a line that is written by this method of a logger."""
    level = level_of(name, args)
    message, *values = (args[1:] if name == "log" else args) or (_named(more),)
    if name == "exception":
        more = {"exc_info": True, **more}
    phase.log(level, message, tuple(values), more, braces=braces)


def _named(more: Mapping[str, Any]) -> object:
    """The text of a line that is given by name."""
    return more.get("msg", more.get("event", ""))


_library_log = logging.LoggerAdapter[Any].log

# Libraries pass over their own frames when they look for the line that logs, and these are none of
# the user's either: the standard one goes by files, structlog by names of modules.
for _ours in (CallLogger.log, _written, _told):
    _ours.__code__ = _ours.__code__.replace(co_filename=logging.info.__code__.co_filename)
_unseen_told = FunctionType(_told.__code__, {**globals(), "__name__": "structlog"})


def _place() -> dict[str, object]:
    """The step whose handler runs here, if one does."""
    step = INSIDE_STEP.get()
    return {} if step is None else {"step_id": step.id}


class ReplayFilter(logging.Filter):
    """Keeps lines of replayed code from handlers, for loggers other than `ctx.logger`.

    Add it to a handler: `handler.addFilter(ReplayFilter())`. Lines that belong to no call pass;
    those of new code get `step_id`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Does a line pass?"""
        for name, value in _place().items():
            setattr(record, name, value)
        return not is_replaying()


class ForeignLogger:
    """Any other logger for one call, such as structlog's or loguru's."""

    def __init__(self, logger: Any, phase: Phase, facts: dict[str, object]) -> None:
        self._logger = _bound(logger, facts)
        self._phase = phase

    def __getattr__(self, name: str) -> Any:
        if name not in _METHODS and name not in _AWAITED:
            return getattr(self._logger, name)
        if not self._phase.fresh:
            waits = iscoroutinefunction(getattr(self._logger, name))
            return _silent_awaited if waits else _silent
        place = _place()
        logger = _bound(self._logger, place) if place else self._logger
        if not self._phase.keeps_logs:
            return getattr(logger, name)
        deeper = getattr(logger, "opt", None)
        braces = callable(deeper)  # loguru's, which counts frames from the line that logs
        method = getattr(deeper(depth=1) if callable(deeper) else logger, name)
        return partial(_unseen_told, self._phase, _AWAITED.get(name, name), method, braces)


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


class SpokenLogger:
    """Takes lines as the standard library does, and gives them to another logger as that one wants
    them: whole, for it may use braces where others use percent signs."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the library's name
        """It decides for itself."""
        return True

    def debug(self, text: object, *args: object, **more: object) -> None:
        """Write a line of this level."""
        self._say("debug", text, args, more)

    def info(self, text: object, *args: object, **more: object) -> None:
        """Write a line of this level."""
        self._say("info", text, args, more)

    def warning(self, text: object, *args: object, **more: object) -> None:
        """Write a line of this level."""
        self._say("warning", text, args, more)

    def error(self, text: object, *args: object, **more: object) -> None:
        """Write a line of this level."""
        self._say("error", text, args, more)

    def exception(self, text: object, *args: object, **more: object) -> None:
        """Write an error with the exception that is handled now."""
        self._say("error", text, args, {"exc_info": sys.exception(), **more})

    def log(self, level: int, text: object, *args: object, **more: object) -> None:
        """Write a line of a level told by number."""
        names = {10: "debug", 20: "info", 30: "warning"}
        self._say(names.get(level, "error" if level > 30 else "debug"), text, args, more)

    def _say(
        self, method: str, text: object, args: tuple[object, ...], more: Mapping[str, object]
    ) -> None:
        message, error = str(text) % args if args else str(text), more.get("exc_info")
        with_options = getattr(self._logger, "opt", None)
        if callable(with_options):  # loguru's; keywords would be taken for parts of the message
            getattr(with_options(exception=error), method)(message)
        elif error is None:
            getattr(self._logger, method, _silent)(message)
        else:
            getattr(self._logger, method, _silent)(message, exc_info=error)


def spoken(logger: Any) -> Logger:
    """A logger the SDK can write its own lines to."""
    plain = isinstance(logger, logging.Logger | logging.LoggerAdapter)
    return cast(Logger, logger if plain else SpokenLogger(logger))


def is_replaying() -> bool:
    """Does code run here that an earlier call of the same run has run before?

    For loggers other than `ctx.logger` that know no `logging.Filter`: drop lines while it is true.
    """
    call: Any = HOME.get()
    return call is not None and not call.fresh


_LIBRARY = (logging.Logger, logging.RootLogger, logging.LoggerAdapter)


def call_logger(logger: Any, phase: Phase, facts: dict[str, object]) -> Any:
    """The logger of one call."""
    if isinstance(logger, logging.Logger | logging.LoggerAdapter):
        kind = CallLogger if type(cast(object, logger)) in _LIBRARY else UsersCallLogger
        return kind(cast(Logger, logger), phase, facts)
    return ForeignLogger(logger, phase, facts)
