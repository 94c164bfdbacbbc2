"""The public tree of exceptions and warnings, and the only place that knows their codes.

    Error                          everything the SDK raises on purpose
    ├── NonRetriableError          raised by user code: do not try again
    ├── RetryAfterError            raised by user code: try again, but not before
    ├── StepError                  caught by user code: a step failed for good
    ├── ConfigurationError         something was declared or set wrongly
    │   ├── FunctionConfigInvalidError, URLInvalidError, AsyncUnsupportedError
    │   ├── EventSchemaError       schemas of events contradict each other
    │   └── EventKeyUnspecifiedError, SigningKeyMissingError
    ├── SendEventsError            events could not be sent
    │   └── EventValidationError   they do not fit their schemas, or are malformed
    ├── OutputUnserializableError  a result that JSON cannot carry, or that does not fit its type
    ├── RunFailedError             a run somebody waited for has failed, or was cancelled
    ├── RunTimeoutError            a run somebody waited for takes longer
    ├── StepNestedError            a step inside a step
    ├── StepUnexpectedError        the server asked for a step, and the function reaches others
    ├── StepNotFoundError          the server asked for a step, and the function reaches none
    ├── CodedError                 any other failure with a code
    └── ProtocolError              a request or an answer that breaks the protocol
        └── BodyInvalidError, HeaderMissingError, QueryParamMissingError, FunctionNotFoundError,
            SigVerificationFailedError, ServerKindMismatchError, RegistrationFailedError

    InngestWarning                 what is probably a mistake; filter them through `warnings`

Law: an exception here is an ordinary exception. What unwinds a suspended handler derives from
BaseException and is in `sdk/step/suspension.py`.
"""

import datetime as dt
import enum
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePath
from types import TracebackType
from typing import Any, Literal, TypeAlias, cast

from stepwell.wire.duration import DurationError, parse_duration_ms

RetryAfter = int | dt.timedelta | dt.datetime | str

_OWN_FOLDER = str(PurePath(__file__).parent)
_PACKAGE = str(PurePath(__file__).parent.parent) + os.sep
_PYTHON = str(PurePath(os.__file__).parent) + os.sep
_INSTALLED = ("site-packages", "dist-packages")
_FRAMES_MAX = 50

Place: TypeAlias = tuple[str, int]
"""A file, and a line of it."""
HANDLER_PLACE: ContextVar[Place | None] = ContextVar("stepwell_handler_place", default=None)
"""Where the handler begins whose code runs here."""


class ErrorCode(enum.Enum):
    """Stable names of failures, as they travel in error bodies."""

    ASYNC_UNSUPPORTED = "async_unsupported"
    BODY_INVALID = "body_invalid"
    EVENT_KEY_UNSPECIFIED = "event_key_unspecified"
    FUNCTION_CONFIG_INVALID = "function_config_invalid"
    FUNCTION_NOT_FOUND = "function_not_found"
    HEADER_MISSING = "header_missing"
    NON_RETRIABLE_ERROR = "non_retriable_error"
    OUTPUT_UNSERIALIZABLE = "output_unserializable"
    QUERY_PARAM_MISSING = "query_param_missing"
    REGISTRATION_FAILED = "registration_failed"
    RETRY_AFTER_ERROR = "retry_after_error"
    SEND_EVENT_FAILED = "send_event_failed"
    SERVER_KIND_MISMATCH = "server_kind_mismatch"
    SIG_VERIFICATION_FAILED = "sig_verification_failed"
    SIGNING_KEY_UNSPECIFIED = "signing_key_unspecified"
    STEP_ERRORED = "step_errored"
    STEP_NESTED = "step_nested"
    STEP_NOT_FOUND = "step_not_found"
    STEP_UNEXPECTED = "step_unexpected"
    UNKNOWN = "unknown"
    URL_INVALID = "url_invalid"


def _user_frames(trace: TracebackType | None) -> TracebackType | None:
    """Where user code begins: our own frames on the way there say nothing to its author."""
    first = trace
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
        first = first.tb_next
    return first if first is not None else trace


def stack_of(error: BaseException, *, chain: bool = False) -> str:
    """The formatted traceback of `error`, without our frames on the way to it; with `chain`, those
    of its causes before it."""
    lines = traceback.format_exception(
        type(error), error, _user_frames(error.__traceback__), limit=-_FRAMES_MAX, chain=chain
    )
    return "".join(lines)


def text_of(error: BaseException) -> str:
    """The text of an exception, whatever its class makes of `str`."""
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - it is the user's class
        return f"(no text: str() of it raised {type(broken).__name__})"


_OF_USERS = frozenset(
    {
        ErrorCode.UNKNOWN,  # its section has nothing to add to the message
        ErrorCode.NON_RETRIABLE_ERROR,
        ErrorCode.RETRY_AFTER_ERROR,
        ErrorCode.STEP_ERRORED,
    }
)


class Error(Exception):
    """Whatever the SDK raises on purpose.

    `code` is stable, `is_retriable` decides what the server is told, `quiet` keeps it from the log.
    A traceback ends with where to read on.
    """

    code: ErrorCode = ErrorCode.UNKNOWN
    include_stack: bool = True
    is_retriable: bool = True
    quiet: bool = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # which refuses keywords, as every exception does
        if code_of(self) not in _OF_USERS:
            self.add_note(self.hint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Whatever it takes to make one: pools of processes copy what they raise."""
        return _made_again, (type(self), self.args), vars(self).copy()

    @property
    def hint(self) -> str:
        """Where its code is explained: a section of docs/errors.md, which the command prints."""
        code = code_of(self).value
        return f"More about it: docs/errors.md#{code}, or `stepwell explain {code}`"

    @property
    def message(self) -> str:
        """The sentence it was raised with."""
        return str(self)

    @property
    def name(self) -> str:
        """What the server shows as the error's name: the name of the class."""
        return type(self).__name__

    @property
    def stack(self) -> str | None:
        """Where it was raised, as text; None if that would say nothing."""
        return stack_of(self) if self.include_stack else None


def _made_again(kind: type[Error], args: tuple[object, ...]) -> Error:
    error = kind.__new__(kind, *args)
    super(Error, error).__init__(*args)
    return error


def code_of(error: BaseException) -> ErrorCode:
    """The code of an error as it travels, also where a user's class means something else by `code`.

    A failed step has that of what it raised, as far as its name tells.
    """
    if isinstance(error, StepError):
        refused = failed_step(error).name == NonRetriableError.__name__
        return NonRetriableError.code if refused else StepError.code
    if not isinstance(error, Error):
        return ErrorCode.UNKNOWN
    said = [vars(error).get("code"), *(vars(kind).get("code") for kind in type(error).__mro__)]
    return next(code for code in said if isinstance(code, ErrorCode))


def is_retriable(error: BaseException) -> bool:
    """Does a further try make sense, by the error's own word? A failed step has had all of its."""
    if isinstance(error, StepError):
        return False
    return error.is_retriable if isinstance(error, Error) else True


def is_quiet(error: BaseException) -> bool:
    """Does an error want to stay out of the log? The `quiet` of other exceptions is their own."""
    return isinstance(error, Error) and not isinstance(error, StepError) and bool(error.quiet)


class CodedError(Error):
    """A failure that has a code and no class of its own."""

    def __init__(self, code: ErrorCode, message: str, *, is_retriable: bool = True) -> None:
        self.code = code
        super().__init__(message)
        self.is_retriable = is_retriable


class NonRetriableError(Error):
    """Raise it where trying again is pointless: the step or the function fails at once."""

    code = ErrorCode.NON_RETRIABLE_ERROR
    is_retriable = False

    def __init__(self, message: str | None = None, quiet: bool = False) -> None:
        super().__init__(message or "")
        self.quiet = quiet


class RetryAfterError(Error):
    """Raise it to be tried again, but not before `retry_after`.

    `retry_after` is a number of milliseconds, a timedelta, text such as "30s", or an instant. The
    server waits between one second and 24 hours. With `scope="key"` everything that shares a key of
    flow control with this call waits until then, too (ours: other servers ignore it).
    """

    code = ErrorCode.RETRY_AFTER_ERROR

    def __init__(
        self,
        message: str | None,
        retry_after: RetryAfter,
        quiet: bool = False,
        *,
        scope: Literal["key"] | None = None,
    ) -> None:
        super().__init__(message or "")
        if scope not in (None, "key"):
            raise ValueError(f'scope = {scope!r}: give "key", or leave it out')
        self.quiet = quiet
        self.retry_after = _delay(retry_after)
        self.scope = scope


def _delay(given: RetryAfter) -> dt.timedelta | dt.datetime:
    if isinstance(given, dt.datetime):
        if given.tzinfo is None:
            warn(
                NaiveDatetimeWarning(
                    "retry_after has no time zone and is taken as local time: use"
                    " datetime.now(UTC), or a zone of your own"
                )
            )
        return given.astimezone() if given.tzinfo is None else given
    if isinstance(given, dt.timedelta):
        return given
    if isinstance(given, str):
        try:
            return dt.timedelta(milliseconds=parse_duration_ms(given))
        except DurationError as error:
            raise ValueError(f"retry_after: {error}") from None
    if isinstance(given, bool) or not isinstance(cast(object, given), int | float):
        raise TypeError(
            f"retry_after = {given!r}: give milliseconds, a timedelta, text such as 30s, or a"
            " datetime"
        )
    return dt.timedelta(milliseconds=given)


@dataclass(frozen=True, slots=True)
class FailedStep:
    """What is known of a step that failed for good: what it raised, and its own id."""

    name: str
    message: str
    stack: str | None
    step_id: str | None


_FAILED = "_stepwell_failed_step"


class StepError(Error):
    """A step failed for good: its retries are used up, or it must not be retried.

    Catch it around the step. `name`, `message` and `stack` are those of the original exception, its
    cause is `__cause__`. Left uncaught, it fails the function without further tries.
    """

    code = ErrorCode.STEP_ERRORED
    is_retriable = False

    def __init__(
        self, message: str, name: str, stack: str | None, *, step_id: str | None = None
    ) -> None:
        tell_failed(self, FailedStep(name, message, stack, step_id))
        super().__init__(message)

    @property
    def name(self) -> str:
        """The name of the exception the step raised."""
        return failed_step(self).name

    @property
    def stack(self) -> str | None:
        """Where the step raised it, as text, if the server kept that."""
        return failed_step(self).stack

    @property
    def step_id(self) -> str | None:
        """The id of the step, as it was written; None if that is not known."""
        return failed_step(self).step_id

    @property
    def cause(self) -> BaseException | None:
        """What caused the original exception, with its own causes chained."""
        return self.__cause__


def failed_step(error: StepError) -> FailedStep:
    """What a StepError tells. Its attributes may be the user's, where it is reraised."""
    found: FailedStep = vars(error)[_FAILED]
    return found


def tell_failed(error: StepError, failed: FailedStep) -> None:
    """Have a StepError tell of this step, whatever its class makes of attributes."""
    object.__setattr__(error, _FAILED, failed)


class ConfigurationError(Error):
    """Something was declared or set wrongly; the message names it and says how to mend it."""

    is_retriable = False


class FunctionConfigInvalidError(ConfigurationError):
    """A function, trigger or option is declared wrongly."""

    code = ErrorCode.FUNCTION_CONFIG_INVALID


class EventSchemaError(ConfigurationError):
    """The schema of an event is written wrongly."""


class URLInvalidError(CodedError, ConfigurationError):
    """A URL cannot be used."""

    code = ErrorCode.URL_INVALID

    def __init__(
        self,
        code: ErrorCode = ErrorCode.URL_INVALID,
        message: str = "invalid URL",
        *,
        is_retriable: bool = False,
    ) -> None:
        super().__init__(code, message, is_retriable=is_retriable)


class AsyncUnsupportedError(ConfigurationError):
    """Asynchronous code was given where only blocking code can run."""

    code = ErrorCode.ASYNC_UNSUPPORTED


class EventKeyUnspecifiedError(ConfigurationError):
    """Sending to the cloud needs an event key."""

    code = ErrorCode.EVENT_KEY_UNSPECIFIED


class SigningKeyMissingError(ConfigurationError):
    """Serving in the cloud needs a signing key."""

    code = ErrorCode.SIGNING_KEY_UNSPECIFIED


class SendEventsError(Error):
    """Events could not be sent. `ids` are those of the events that were accepted before."""

    code = ErrorCode.SEND_EVENT_FAILED
    status_code: int | None = None
    """The server's HTTP status, if it answered at all."""
    response_body: str = ""
    """The beginning of the server's answer as text."""

    def __init__(self, message: str, ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ids = list(ids)


class EventValidationError(SendEventsError):
    """Events do not fit their schemas, or cannot be written: nothing of the call was sent.

    Raised before anything is sent, and before a handler sees an event that arrived; trying again is
    pointless. `problems` lists all of them as (index of the event, path of the field, what is
    wrong).
    """

    is_retriable = False

    def __init__(
        self,
        problems: Sequence[tuple[int, str, str]],
        names: Sequence[str] = (),
        message: str | None = None,
    ) -> None:
        self.problems = list(problems)
        named = [f' "{name}"' if name else "" for name in names]
        lines = [
            f"Event[{index}]{named[index] if index < len(named) else ''} is invalid: {path}: {text}"
            for index, path, text in self.problems
        ]
        super().__init__("; ".join(lines) if message is None else message)


class OutputUnserializableError(Error):
    """A result cannot travel as JSON, or does not fit the type it was declared with."""

    code = ErrorCode.OUTPUT_UNSERIALIZABLE
    is_retriable = False


class StepNestedError(Error):
    """A step was called inside another step."""

    code = ErrorCode.STEP_NESTED
    is_retriable = False


class StepUnexpectedError(Error):
    """The server asked for a step, and the function reaches others."""

    code = ErrorCode.STEP_UNEXPECTED
    include_stack = False


class StepNotFoundError(Error):
    """The server asked for a step, and the function reaches none."""

    code = ErrorCode.STEP_NOT_FOUND
    include_stack = False


class ProtocolError(Error):
    """A request or an answer breaks the protocol."""


class BodyInvalidError(ProtocolError):
    """A body is not what the protocol says."""

    code = ErrorCode.BODY_INVALID


class FunctionNotFoundError(ProtocolError):
    """The server asked for a function this app does not have."""

    code = ErrorCode.FUNCTION_NOT_FOUND


class HeaderMissingError(ProtocolError):
    """A request lacks a header."""

    code = ErrorCode.HEADER_MISSING


class QueryParamMissingError(ProtocolError):
    """A request lacks a query parameter."""

    code = ErrorCode.QUERY_PARAM_MISSING


class RegistrationFailedError(ProtocolError):
    """The server refused to register the app."""

    code = ErrorCode.REGISTRATION_FAILED


class ServerKindMismatchError(ProtocolError):
    """A development server called an app in cloud mode, or the other way round."""

    code = ErrorCode.SERVER_KIND_MISMATCH


class SigVerificationFailedError(ProtocolError):
    """A request is not signed by whom it should be."""

    code = ErrorCode.SIG_VERIFICATION_FAILED


class RunFailedError(Error):
    """A run that was waited for ended without a result; its error is the cause."""

    is_retriable = False

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class RunTimeoutError(Error, TimeoutError):
    """A run that was waited for has not ended in time. It goes on."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class UnknownError(Error):
    """Something failed in a way nobody foresaw."""


class InngestWarning(UserWarning):
    """What is probably a mistake in a function. `code` is stable."""

    code = "WARNING"


class ParallelIndexingWarning(InngestWarning):
    """One step id is used by several branches that run at the same time."""

    code = "AUTOMATIC_PARALLEL_INDEXING"


class IndeterminateFunctionWarning(InngestWarning):
    """New steps appeared although steps of earlier calls were not met: were they renamed?"""

    code = "NON_DETERMINISTIC_FUNCTION"


class NaiveDatetimeWarning(InngestWarning):
    """A datetime without a time zone was taken as local time."""

    code = "NAIVE_DATETIME"


def warn(warning: Warning, at: Place | None = None) -> None:
    """Warn at a line of the user's: `at`, else the innermost one outside of this package that led
    here, else the line where the handler under way begins.

    Raises the warning where somebody made errors of warnings.
    """
    frame = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    here, names = (frame.f_code.co_filename, frame.f_lineno), frame.f_globals
    while at is None and frame.f_back is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE):
            if not _is_pythons(file):
                at, names = (file, frame.f_lineno), frame.f_globals
            break  # an event loop, say: whoever is behind it has nothing to do with this
        frame = frame.f_back
    file, line = at or HANDLER_PLACE.get() or here
    registry = names.setdefault("__warningregistry__", {})
    warnings.warn_explicit(warning, type(warning), file, line, registry=registry)


def _is_pythons(file: str) -> bool:
    if file.startswith("<"):
        return True
    return file.startswith(_PYTHON) and not any(name in file for name in _INSTALLED)
