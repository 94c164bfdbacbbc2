"""Stepwell: durable functions triggered by events.

The public names, and nothing else. Code written for the official SDK runs with
`import stepwell as inngest`.

A name is imported when it is first asked for, so that importing the package costs a program, a
command or a server only what it uses.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from stepwell.sdk.events.internal import (
        FunctionCancelledEvent,
        FunctionDeferredEvent,
        FunctionFailedEvent,
        FunctionFinishedEvent,
        FunctionInvokedEvent,
        ScheduledTimerEvent,
        SerializedError,
    )
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

_NAMES_OF = {
    "stepwell.sdk.client.client": "Inngest",
    "stepwell.sdk.client.declare": "DeclaredOptions TypedDecorator",
    "stepwell.sdk.errors": """
        AsyncUnsupportedError BodyInvalidError CodedError ConfigurationError Error ErrorCode
        EventKeyUnspecifiedError EventSchemaError EventValidationError
        FunctionConfigInvalidError FunctionNotFoundError HeaderMissingError
        IndeterminateFunctionWarning InngestWarning NaiveDatetimeWarning NonRetriableError
        OutputUnserializableError ParallelIndexingWarning ProtocolError QueryParamMissingError
        RegistrationFailedError RetryAfterError RunFailedError RunTimeoutError SendEventsError
        ServerKindMismatchError SigVerificationFailedError SigningKeyMissingError StepError
        StepNestedError StepNotFoundError StepUnexpectedError URLInvalidError UnknownError
    """,
    "stepwell.sdk.events.definition": "EventDefinition",
    "stepwell.sdk.events.event": "Event EventOf JSON MinimalEvent",
    "stepwell.sdk.events.internal": """
        FunctionCancelledEvent FunctionDeferredEvent FunctionFailedEvent FunctionFinishedEvent
        FunctionInvokedEvent ScheduledTimerEvent SerializedError
    """,
    "stepwell.sdk.events.internal_name": "InternalEvent",
    "stepwell.sdk.events.kind": "EventModel EventType event_type",
    "stepwell.sdk.events.schemas": "EventSchemas",
    "stepwell.sdk.events.source": "EventSource",
    "stepwell.sdk.function.dependency": "Depends close_dependencies inject override",
    "stepwell.sdk.function.function": "Function",
    "stepwell.sdk.function.option": """
        Backlog Batch Cancel Concurrency Debounce Fairness Priority RateLimit Singleton Throttle
        Timeouts
    """,
    "stepwell.sdk.function.reference": "FunctionReference reference_function",
    "stepwell.sdk.function.trigger": "TriggerCron TriggerDefer TriggerEvent TriggerInvoke",
    "stepwell.sdk.middleware.declared": "InngestMiddleware",
    "stepwell.sdk.middleware.hook": "Middleware MiddlewareSync",
    "stepwell.sdk.middleware.inject": "dependency_injection_middleware",
    "stepwell.sdk.middleware.layer": "BaseMiddleware",
    "stepwell.sdk.middleware.memos": "StepMemos",
    "stepwell.sdk.middleware.result": "StepInfo TransformOutputResult",
    "stepwell.sdk.middleware.validation": "ValidationMiddleware",
    "stepwell.sdk.net.agent": "__version__",
    "stepwell.sdk.realtime.subscription": "RealtimeMessage Subscription SubscriptionSync",
    "stepwell.sdk.realtime.topic": "Channel Topic",
    "stepwell.sdk.send.result": "SendEventsResult",
    "stepwell.sdk.send.sending": "SendResult",
    "stepwell.sdk.serve.called": "is_inngest_request",
    "stepwell.sdk.settings": "Streaming",
    "stepwell.sdk.step": "experiment",
    "stepwell.sdk.step._async": "Step",
    "stepwell.sdk.step._sync": "StepSync",
    "stepwell.sdk.step.ambient": "step step_sync",
    "stepwell.sdk.step.annotation": "ExperimentRef",
    "stepwell.sdk.step.ask": "ParallelMode",
    "stepwell.sdk.step.cancelled": "Cancelled",
    "stepwell.sdk.step.context": "Context ContextSync",
    "stepwell.sdk.step.defer": "Defer Deferred",
    "stepwell.sdk.step.limit": "Limit limit",
    "stepwell.sdk.step.log": "ReplayFilter is_replaying",
    "stepwell.sdk.step.parent": "ParentRun",
    "stepwell.sdk.step.stream": "Stream stream",
    "stepwell.sdk.value.failure": "deserialize_error is_serialized_error serialize_error",
    "stepwell.sdk.value.serializer": "PydanticSerializer Serializer",
}
_HOMES = {name: module for module, names in _NAMES_OF.items() for name in names.split()}
"""The module of each public name: what the imports above tell those who read types."""
_NAMED_THERE = {
    "__version__": "VERSION",
    "step": "ambient_step",
    "step_sync": "ambient_step_sync",
}
"""Names that are others in their modules."""

if not TYPE_CHECKING:  # or checkers would take every name for one of ours

    def __getattr__(name: str) -> object:
        """The public name, as `from module import name` finds it; from then on it is here."""
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        there = _NAMED_THERE.get(name, name)
        found = globals()[name] = getattr(__import__(home, fromlist=(there,)), there)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
