"""Events on their way to a handler: judged before it sees them, and typed as it asked.

The only place that decides by what an event of a call is judged. A function with typed triggers
takes nothing else; otherwise the client's schemas judge, and the handler's own annotation says what
it gets.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from stepwell.sdk.errors import EventValidationError, StepError
from stepwell.sdk.events.definition import Parts
from stepwell.sdk.events.event import Event
from stepwell.sdk.events.json_body import encode_json
from stepwell.sdk.events.reading import Reader, reader_of_class, reader_of_data
from stepwell.sdk.events.schemas import Disallowed, EventSchemas
from stepwell.sdk.events.source import EventKind
from stepwell.sdk.events.type_facts import fields_of, literals, members_of
from stepwell.sdk.events.validator import PydanticValidator, Unfit
from stepwell.wire.event import FUNCTION_INVOKED, is_internal_event


class _Wanted(msgspec.Struct, frozen=True):
    """One type of events that is taken; no `names` means any."""

    names: tuple[str, ...]
    read: Reader


class Intake:
    """What one function takes for events."""

    def __init__(self, kinds: Sequence[EventKind[Any, Any]], asked: Any = Any) -> None:
        """Prepare a function's intake.

        Args:
            kinds: What its triggers stand for.
            asked: The event type its handler is annotated with, Any if it says nothing.
        """
        self._kinds = tuple(kinds)
        self._typed = any(kind.read is not None for kind in kinds if not _is_timer(kind))
        self._asked = () if self._typed else _wanted_of(asked)

    def read(self, events: Sequence[Event], schemas: EventSchemas | None) -> list[Any]:
        """The events as the handler gets them. Raises EventValidationError for what does not fit.

        The client's `schemas` count where triggers have none.
        """
        judging = schemas if schemas is not None and schemas.judges_incoming else None
        if not self._typed and not self._asked and judging is None:
            return list(events)
        found: list[Any] = []
        problems: list[tuple[int, str, str]] = []
        sentences: list[str] = []
        for index, event in enumerate(events):
            try:
                found.append(self._read_one(event, judging))
            except Unfit as error:
                problems += [(index, path, text) for path, text in error.problems]
                sentences.append(sentence(event.name, error))
        if problems:
            names = [event.name for event in events]
            raise EventValidationError(problems, names, "; ".join(sentences))
        return found

    def _read_one(self, event: Event, schemas: EventSchemas | None) -> Any:
        if self._typed:
            return self._read_typed(event)
        if schemas is not None:
            event = self.judge(event, schemas)
        return _first_fitting(self._asked, event) if self._asked else event

    def _read_typed(self, event: Event) -> Any:
        """An event must fit a trigger of its name; an invocation any, an invoke trigger first."""
        if event.name == FUNCTION_INVOKED:
            own = [kind for kind in self._kinds if kind.name == FUNCTION_INVOKED]
            kinds = own or [kind for kind in self._kinds if not is_internal_event(kind.name)]
            return _read_any(kinds or self._kinds, event)
        named = [kind for kind in self._kinds if kind.name == event.name]
        if not named:
            named = [kind for kind in self._kinds if _covers(kind.name, event.name)]
        if named:
            return _read_any(named, event)
        if is_internal_event(event.name):
            return event
        raise Disallowed(f"Event not found in triggers: {event.name}")

    def judge(self, event: Event, schemas: EventSchemas) -> Event:
        """The event as schemas want it; an invocation must fit a trigger. Raises Unfit."""
        if event.name != FUNCTION_INVOKED:
            return judged(event, schemas)
        names = [kind.name for kind in self._kinds if not is_internal_event(kind.name)]
        failed: list[Unfit] = []
        for name in names:
            try:
                return judged(event, schemas, name)
            except Unfit as error:
                failed.append(error)
        if failed:
            raise min(failed, key=lambda error: len(error.problems))
        return event


def judged(event: Event, schemas: EventSchemas, name: str | None = None) -> Event:
    """The event as the client's schemas want it. Raises Unfit.

    With `name`, as if that were its name. What the server added to the data stays.
    """
    data: object = event.data
    user = None if event.user is None else _body("user", event.user)
    if user == b"{}":
        user = None  # servers send one where there was none
    parts = Parts(name or event.name, _body("data", data), user, event.id, event.ts, event.v)
    found = schemas.judge(parts)
    update: dict[str, Any] = {}
    if found.data is not None:
        update["data"] = {**found.data, **_kept(data)}
    if found.user is not None:
        update["user"] = found.user
    return event.model_copy(update=update) if update else event


def _body(field: str, value: object) -> bytes:
    try:
        return encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unfit([(field, str(error))]) from None


def _kept(data: object) -> dict[str, Any]:
    """What the server added to the data, which no schema knows."""
    if not isinstance(data, Mapping) or "_inngest" not in data:
        return {}
    return {"_inngest": cast("Mapping[str, Any]", data)["_inngest"]}


def sentence(name: str, error: Unfit) -> str:
    """What is wrong with an event, as it is told."""
    if isinstance(error, Disallowed):
        return error.sentence
    return f'Event "{name}" failed validation: {error}'


def read_awaited(
    step_id: str,
    event: Event | None,
    kind: EventKind[Any, Any] | None,
    schemas: EventSchemas | None,
) -> Any:
    """An event that was waited for, typed if its type is known; None if time ran out.

    Raises StepError for one that does not fit.
    """
    if event is None:
        return None
    try:
        if kind is not None and kind.read is not None:
            return kind.read(event)
        if schemas is not None and schemas.judges_incoming:
            return judged(event, schemas)
    except Unfit as error:
        told = sentence(event.name, error)
        raise StepError(told, EventValidationError.__name__, None, step_id=step_id) from None
    return event


def _is_timer(kind: EventKind[Any, Any]) -> bool:
    """A clock's events are typed only beside others that are, or for a handler that asks."""
    return is_internal_event(kind.name) and kind.schema is None


def _covers(pattern: str, name: str) -> bool:
    return pattern.endswith("*") and name.startswith(pattern[:-1])


def _read_any(kinds: Sequence[EventKind[Any, Any]], event: Event) -> Any:
    wanted = [_Wanted((), kind.read or _unchanged) for kind in kinds]
    return _first_fitting(wanted, event)


def _unchanged(event: Any) -> Any:
    return event


def _first_fitting(wanted: Sequence[_Wanted], event: Event) -> Any:
    """The event as the first type it fits. Raises Unfit for the type it fits best."""
    named = [one for one in wanted if event.name in one.names]
    candidates = named or [one for one in wanted if not one.names]
    if not candidates and event.name == FUNCTION_INVOKED:
        candidates = list(wanted)
    if not candidates:
        names = ", ".join(sorted({name for one in wanted for name in one.names}))
        raise Unfit([("name", f'"{event.name}" is none of {names}')])
    failed: list[Unfit] = []
    for one in candidates:
        try:
            return one.read(event)
        except Unfit as error:
            failed.append(error)
    raise min(failed, key=lambda error: len(error.problems))


def _wanted_of(asked: Any) -> tuple[_Wanted, ...]:
    """What a handler's annotation asks for; nothing if it takes events as they are."""
    members = list(members_of(asked))
    found = [_wanted_of_type(member) for member in members if member is not Event]
    if not found or None in found:
        return ()
    if Event in members:
        found.append(_Wanted((), _unchanged))  # the rest, as it comes
    return tuple(one for one in found if one is not None)


def _wanted_of_type(kind: Any) -> _Wanted | None:
    if not isinstance(kind, type):
        return None
    made = cast("type[Any]", kind)
    fields = fields_of(made)
    if not fields or "name" not in fields:
        return None
    names = literals(fields["name"])
    if Event not in made.__mro__:
        return _Wanted(names, _reader_of_foreign(made))
    return _Wanted(names, _reader_of_event(made, names))


def _reader_of_event(made: type[Any], names: tuple[str, ...]) -> Reader:
    data = made.model_fields["data"].annotation
    if made.__pydantic_generic_metadata__["origin"] is Event and not names:
        return reader_of_data(data, validate=True)
    return reader_of_class(made, data)


def _reader_of_foreign(made: type[Any]) -> Reader:
    """The reader of somebody's own class of whole events."""
    validator = PydanticValidator(made)
    fields = fields_of(made) or {}

    def read(event: Any) -> Any:
        given = {key: getattr(event, key, None) for key in fields}
        body = encode_json({key: value for key, value in given.items() if value is not None})
        return validator.load(body)

    return read
