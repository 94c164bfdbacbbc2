"""Answers one GraphQL question: reads it, bounds it, has it resolved. Source: GraphQL October 2021.

A question that is no GraphQL, or not of the schema, is answered with 422; what a resolver refuses
stands among the errors of an answer with 200.
"""

from collections.abc import AsyncIterator, Awaitable
from importlib.resources import files
from inspect import isawaitable
from typing import Any, NamedTuple, TypeGuard

import msgspec
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLUnionType,
    OperationType,
    build_schema,
    default_field_resolver,  # pyright: ignore[reportUnknownVariableType] - the same
    execute,  # pyright: ignore[reportUnknownVariableType] - its context is generic
    get_operation_ast,
    parse,
    validate,
)

from stepwell.server.api.graphql.bounds import TOKENS_MAX, excess
from stepwell.server.api.graphql.changes import MUTATION
from stepwell.server.api.graphql.root import QUERY
from stepwell.server.api.inside import Inside
from stepwell.server.api.routing.problem import as_problem
from stepwell.server.turns import turn

SCHEMA = build_schema(
    files("stepwell.server.api.graphql").joinpath("schema.graphql").read_text("utf-8")
)
ERRORS_MAX = 20
TOO_LARGE = "GRAPHQL_TOO_LARGE"
LISTED_AT_ONCE = 8
"""So many members of a list are put together before others have their turn."""


class Refused(NamedTuple):
    """A question that is not answered."""

    errors: list[GraphQLError]
    code: str


def _kind_of(value: Any, info: object, kind: object) -> str:
    named: str = value["__typename"]
    return named


for _type in SCHEMA.type_map.values():
    if isinstance(_type, GraphQLUnionType):
        _type.resolve_type = _kind_of


def read(text: str, variables: dict[str, Any]) -> DocumentNode | Refused:
    """A question, or why it is none. The largest take seconds: read them beside the loop."""
    try:
        document = parse(text, max_tokens=TOKENS_MAX)
        errors = validate(SCHEMA, document, max_errors=ERRORS_MAX)
        too_much = "" if errors else excess(document, variables)
    except GraphQLError as error:
        return Refused([error], "GRAPHQL_PARSE_FAILED")
    except RecursionError:
        return Refused([GraphQLError("the question is too deep: ask in several")], TOO_LARGE)
    if errors:
        return Refused(errors, "GRAPHQL_VALIDATION_FAILED")
    return Refused([GraphQLError(too_much)], TOO_LARGE) if too_much else document


async def answer(
    inside: Inside,
    document: DocumentNode | Refused,
    variables: dict[str, Any],
    operation: str | None,
) -> tuple[int, dict[str, Any]]:
    """The HTTP status and the body of the answer."""
    if isinstance(document, Refused):
        return 422, _refused(document.errors, document.code)
    asked = get_operation_ast(document, operation)
    changes = asked is not None and asked.operation is OperationType.MUTATION
    root = MUTATION if changes else QUERY
    found = execute(SCHEMA, document, root, inside, variables, operation, _in_turns)
    result = await found if isawaitable(found) else found
    told: dict[str, Any] = {"data": result.data}
    if result.errors:
        told["errors"] = [_told(error) for error in result.errors]
    return 200, told


def _in_turns(source: Any, info: GraphQLResolveInfo[Any], **given: Any) -> Any:
    """What a field is; a list as one that pauses, because the largest take long."""
    found = default_field_resolver(source, info, **given)
    return _awaited(found) if isawaitable(found) else _paused(found)


async def _awaited(coming: Awaitable[object]) -> object:
    return _paused(await coming)


def _paused(found: object) -> object:
    return _pausing(found) if _is_list(found) and len(found) > LISTED_AT_ONCE else found


def _is_list(found: object) -> TypeGuard[list[Any]]:
    return isinstance(found, list)


async def _pausing(members: list[Any]) -> AsyncIterator[Any]:
    for number, one in enumerate(members, 1):
        yield one
        if number % LISTED_AT_ONCE == 0:
            await turn()


def _refused(errors: list[GraphQLError], code: str) -> dict[str, Any]:
    told = [{**_formatted(error), "extensions": {"code": code}} for error in errors]
    return {"errors": told, "data": None}


def _told(error: GraphQLError) -> dict[str, Any]:
    """What a resolver refused, in the words of the API; what is a fault is raised as one."""
    told = _formatted(error)
    if error.original_error is None:
        return told
    problem = as_problem(error.original_error)
    extensions = {"code": problem.code, "status": problem.status}
    return {**told, "message": problem.message, "extensions": extensions}


def _formatted(error: GraphQLError) -> dict[str, Any]:
    formatted: dict[str, Any] = msgspec.to_builtins(dict(error.formatted))
    return formatted
