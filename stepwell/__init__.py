"""Stepwell: durable functions triggered by events.

The public names, and nothing else. Code written for the official SDK runs with
`import stepwell as inngest`.
"""

from stepwell.sdk.agent import VERSION
from stepwell.sdk.client import Inngest
from stepwell.sdk.errors import (
    AsyncUnsupportedError,
    BodyInvalidError,
    CodedError,
    ConfigurationError,
    Error,
    ErrorCode,
    EventKeyUnspecifiedError,
    EventValidationError,
    FunctionConfigInvalidError,
    FunctionNotFoundError,
    HeaderMissingError,
    InngestWarning,
    NonRetriableError,
    OutputUnserializableError,
    ProtocolError,
    QueryParamMissingError,
    RegistrationFailedError,
    RetryAfterError,
    SendEventsError,
    ServerKindMismatchError,
    SigningKeyMissingError,
    SigVerificationFailedError,
    StepError,
    StepNestedError,
    StepUnexpectedError,
    UnknownError,
    URLInvalidError,
)
from stepwell.sdk.execution.context import Context, ContextSync
from stepwell.sdk.function import Function
from stepwell.sdk.middleware.hook import Middleware, MiddlewareSync
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import SendEventsResult, TransformOutputResult
from stepwell.sdk.option import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.sdk.schema import JSON, Event
from stepwell.sdk.sending import SendResult
from stepwell.sdk.serializer import PydanticSerializer, Serializer
from stepwell.sdk.settings import Streaming
from stepwell.sdk.step._async import Step
from stepwell.sdk.step._sync import StepSync
from stepwell.sdk.step.ask import ParallelMode
from stepwell.sdk.trigger import TriggerCron, TriggerEvent

__version__ = VERSION

__all__ = [
    # The names of the official SDK.
    "Batch",
    "Cancel",
    "Concurrency",
    "Context",
    "ContextSync",
    "Debounce",
    "Event",
    "Function",
    "Inngest",
    "JSON",
    "Middleware",
    "MiddlewareSync",
    "NonRetriableError",
    "ParallelMode",
    "Priority",
    "PydanticSerializer",
    "RateLimit",
    "RetryAfterError",
    "SendEventsResult",
    "Serializer",
    "Singleton",
    "Step",
    "StepError",
    "StepMemos",
    "StepSync",
    "Streaming",
    "Throttle",
    "Timeouts",
    "TransformOutputResult",
    "TriggerCron",
    "TriggerEvent",
    # Ours, beyond them.
    "SendResult",
    "AsyncUnsupportedError",
    "BodyInvalidError",
    "CodedError",
    "ConfigurationError",
    "Error",
    "ErrorCode",
    "EventKeyUnspecifiedError",
    "EventValidationError",
    "FunctionConfigInvalidError",
    "FunctionNotFoundError",
    "HeaderMissingError",
    "InngestWarning",
    "OutputUnserializableError",
    "ProtocolError",
    "QueryParamMissingError",
    "RegistrationFailedError",
    "SendEventsError",
    "ServerKindMismatchError",
    "SigVerificationFailedError",
    "SigningKeyMissingError",
    "StepNestedError",
    "StepUnexpectedError",
    "URLInvalidError",
    "UnknownError",
    "__version__",
]
