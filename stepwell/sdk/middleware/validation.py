"""Validation of events as a middleware: for apps that choose where in the chain events are judged.

The client judges by its `schemas` anyway, before and after all middleware, unless they say
`validate="off"`.
"""

from functools import partial
from typing import Any, cast

from stepwell.sdk.errors import EventValidationError
from stepwell.sdk.events.event import Event
from stepwell.sdk.events.incoming import judged, sentence
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.events.validator import Unfit
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.middleware_factory import MiddlewareFactory
from stepwell.sdk.middleware.hook import MiddlewareSync
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.step.context import Context, ContextSync


class ValidationMiddleware(MiddlewareSync):
    """Judges events by the client's schemas; their data becomes what the schemas made of it.

    Register the class, or `ValidationMiddleware.with_options(...)`. Events of the server itself are
    trusted, except invocations, which must fit a trigger of their function.
    """

    def __init__(
        self,
        client: Any,
        raw_request: object,
        *,
        disallow_schemaless_events: bool = False,
        disallow_unknown_schemas: bool = False,
        disable_incoming_validation: bool = False,
        disable_outgoing_validation: bool = False,
    ) -> None:
        super().__init__(client, raw_request)
        schemas: EventSchemas = getattr(client, "schemas", None) or EventSchemas()
        self._schemas = schemas.with_rules(
            unknown="forbid" if disallow_unknown_schemas else "allow",
            schemaless="forbid" if disallow_schemaless_events else "allow",
        )
        self._judges_incoming = not disable_incoming_validation
        self._judges_outgoing = not disable_outgoing_validation

    @classmethod
    def with_options(
        cls,
        *,
        disallow_schemaless_events: bool = False,
        disallow_unknown_schemas: bool = False,
        disable_incoming_validation: bool = False,
        disable_outgoing_validation: bool = False,
    ) -> MiddlewareFactory:
        """The middleware with these options, to register.

        Args:
            disallow_schemaless_events: Refuse events of which no data is described.
            disallow_unknown_schemas: Refuse events whose names are not defined.
            disable_incoming_validation: Leave events that arrive alone.
            disable_outgoing_validation: Leave events that are sent alone.
        """
        return partial(
            cls,
            disallow_schemaless_events=disallow_schemaless_events,
            disallow_unknown_schemas=disallow_unknown_schemas,
            disable_incoming_validation=disable_incoming_validation,
            disable_outgoing_validation=disable_outgoing_validation,
        )

    def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """Judge the events of a call. Raises EventValidationError, which is not tried again."""
        if self._judges_incoming:
            ctx.events = self._all(ctx.events, function)
            ctx.event = ctx.events[0]

    def before_send_events(self, events: list[Event]) -> None:
        """Judge the events of a `send`. Raises EventValidationError before any of them leaves."""
        if self._judges_outgoing:
            events[:] = self._all(events, None)

    def _all(self, events: list[Event], function: Function[Any] | None) -> list[Event]:
        found: list[Event] = []
        problems: list[tuple[int, str, str]] = []
        sentences: list[str] = []
        for index, event in enumerate(events):
            try:
                found.append(self._one(event, function))
            except Unfit as error:
                problems += [(index, path, text) for path, text in error.problems]
                sentences.append(sentence(event.name, error))
        if problems:
            names = [event.name for event in events]
            raise EventValidationError(problems, names, "; ".join(sentences))
        return found

    def _one(self, event: Event, function: Function[Any] | None) -> Event:
        if not isinstance(cast(object, event.name), str) or not event.name:
            return event  # `send` says what is wrong with it
        if function is None:
            return judged(event, self._schemas)
        return function.intake.judge(event, self._schemas)
