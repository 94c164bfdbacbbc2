"""Stepwell: durable functions triggered by events.

The public names, and nothing else. Code written for the official SDK runs with
`import stepwell as inngest`.
"""

from typing import TYPE_CHECKING

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.client.declare import DeclaredOptions, TypedDecorator
from stepwell.sdk.errors import (
    AsyncUnsupportedError,
    BodyInvalidError,
    CodedError,
    ConfigurationError,
    Error,
    ErrorCode,
    EventKeyUnspecifiedError,
    EventSchemaError,
    EventValidationError,
    FunctionConfigInvalidError,
    FunctionNotFoundError,
    HeaderMissingError,
    IndeterminateFunctionWarning,
    InngestWarning,
    NaiveDatetimeWarning,
    NonRetriableError,
    OutputUnserializableError,
    ParallelIndexingWarning,
    ProtocolError,
    QueryParamMissingError,
    RegistrationFailedError,
    RetryAfterError,
    RunFailedError,
    RunTimeoutError,
    SendEventsError,
    ServerKindMismatchError,
    SigningKeyMissingError,
    SigVerificationFailedError,
    StepError,
    StepNestedError,
    StepNotFoundError,
    StepUnexpectedError,
    UnknownError,
    URLInvalidError,
)
from stepwell.sdk.events.definition import EventDefinition
from stepwell.sdk.events.event import JSON, Event, EventOf, MinimalEvent
from stepwell.sdk.events.internal_name import InternalEvent
from stepwell.sdk.events.kind import EventModel, EventType, event_type
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.events.source import EventSource
from stepwell.sdk.function.dependency import Depends, close_dependencies, inject, override
from stepwell.sdk.function.function import Function
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
from stepwell.sdk.function.reference import FunctionReference, reference_function
from stepwell.sdk.function.trigger import TriggerCron, TriggerDefer, TriggerEvent, TriggerInvoke
from stepwell.sdk.middleware.declared import InngestMiddleware
from stepwell.sdk.middleware.hook import Middleware, MiddlewareSync
from stepwell.sdk.middleware.inject import dependency_injection_middleware
from stepwell.sdk.middleware.layer import BaseMiddleware
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import StepInfo, TransformOutputResult
from stepwell.sdk.middleware.validation import ValidationMiddleware
from stepwell.sdk.net.agent import VERSION
from stepwell.sdk.realtime.subscription import RealtimeMessage, Subscription, SubscriptionSync
from stepwell.sdk.realtime.topic import Channel, Topic
from stepwell.sdk.send.result import SendEventsResult
from stepwell.sdk.send.sending import SendResult
from stepwell.sdk.serve.called import is_inngest_request
from stepwell.sdk.settings import Streaming
from stepwell.sdk.step import experiment
from stepwell.sdk.step._async import Step
from stepwell.sdk.step._sync import StepSync
from stepwell.sdk.step.ambient import ambient_step as step
from stepwell.sdk.step.ambient import ambient_step_sync as step_sync
from stepwell.sdk.step.annotation import ExperimentRef
from stepwell.sdk.step.ask import ParallelMode
from stepwell.sdk.step.cancelled import Cancelled
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.defer import Defer, Deferred
from stepwell.sdk.step.limit import Limit, limit
from stepwell.sdk.step.log import ReplayFilter, is_replaying
from stepwell.sdk.step.parent import ParentRun
from stepwell.sdk.step.stream import Stream, stream
from stepwell.sdk.value.failure import deserialize_error, is_serialized_error, serialize_error
from stepwell.sdk.value.serializer import PydanticSerializer, Serializer

if TYPE_CHECKING:
    from stepwell.sdk.events.internal import (
        FunctionCancelledEvent,
        FunctionDeferredEvent,
        FunctionFailedEvent,
        FunctionFinishedEvent,
        FunctionInvokedEvent,
        ScheduledTimerEvent,
        SerializedError,
    )

__version__ = VERSION

__all__ = [
    "Channel",
    "RealtimeMessage",
    "Subscription",
    "SubscriptionSync",
    "Topic",
    # The names of the official SDK.
    "Batch",
    "Cancel",
    "Cancelled",
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
    "Backlog",
    "BaseMiddleware",
    "InngestMiddleware",
    "ReplayFilter",
    "StepInfo",
    "Defer",
    "Deferred",
    "Depends",
    "close_dependencies",
    "dependency_injection_middleware",
    "inject",
    "override",
    "SendResult",
    "AsyncUnsupportedError",
    "BodyInvalidError",
    "CodedError",
    "ConfigurationError",
    "DeclaredOptions",
    "Error",
    "ErrorCode",
    "EventDefinition",
    "EventKeyUnspecifiedError",
    "EventModel",
    "EventOf",
    "EventSchemaError",
    "EventSchemas",
    "EventSource",
    "EventType",
    "EventValidationError",
    "Fairness",
    "Limit",
    "limit",
    "experiment",
    "step",
    "step_sync",
    "Stream",
    "stream",
    "ExperimentRef",
    "FunctionCancelledEvent",
    "FunctionConfigInvalidError",
    "FunctionDeferredEvent",
    "FunctionFailedEvent",
    "FunctionFinishedEvent",
    "FunctionInvokedEvent",
    "FunctionNotFoundError",
    "FunctionReference",
    "reference_function",
    "is_inngest_request",
    "HeaderMissingError",
    "IndeterminateFunctionWarning",
    "InngestWarning",
    "InternalEvent",
    "MinimalEvent",
    "NaiveDatetimeWarning",
    "OutputUnserializableError",
    "ParallelIndexingWarning",
    "ParentRun",
    "ProtocolError",
    "QueryParamMissingError",
    "RegistrationFailedError",
    "RunFailedError",
    "RunTimeoutError",
    "ScheduledTimerEvent",
    "SendEventsError",
    "SerializedError",
    "ServerKindMismatchError",
    "SigVerificationFailedError",
    "SigningKeyMissingError",
    "StepNestedError",
    "StepNotFoundError",
    "StepUnexpectedError",
    "URLInvalidError",
    "TriggerDefer",
    "TriggerInvoke",
    "TypedDecorator",
    "UnknownError",
    "ValidationMiddleware",
    "deserialize_error",
    "event_type",
    "is_replaying",
    "is_serialized_error",
    "serialize_error",
    "__version__",
]

_OF_THE_SERVER = frozenset(
    {
        "FunctionCancelledEvent",
        "FunctionDeferredEvent",
        "FunctionFailedEvent",
        "FunctionFinishedEvent",
        "FunctionInvokedEvent",
        "ScheduledTimerEvent",
        "SerializedError",
    }
)
"""The events that the server sends: many models, which are made when one is first asked for."""


def __getattr__(name: str) -> object:
    if name not in _OF_THE_SERVER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stepwell.sdk.events import internal  # noqa: PLC0415 - see _OF_THE_SERVER

    return getattr(internal, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
