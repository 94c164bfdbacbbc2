"""`POST /v0/gql`: the GraphQL of the official server, for dashboards and helpers that ask it."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.inside import Inside
from stepwell.server.api.routing.problem import as_json
from stepwell.server.api.routing.route import Body

_FIX = 'send {"query": "{ apps { name } }"}'


class QuestionBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A question, the values of its variables, and which of its operations is meant."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


QUESTION = Body(QuestionBody, _FIX)


async def ask(deps: ApiDeps, request: Request) -> Response:
    """Answer a question in GraphQL. What it changes takes the role the operation behind it needs,
    and is written down with that."""
    given = await QUESTION.read(request)
    # Who never asks need not have it in memory.
    library, variables = await deps.searched(_library), given.variables or {}
    document = await deps.searched(lambda: library.read(given.query, variables))
    inside = Inside.of(deps, request)
    status, told = await library.answer(inside, document, variables, given.operation_name)
    return as_json(told, status)


def _library() -> Any:
    from stepwell.server.api.graphql import answer  # noqa: PLC0415 - few ask it

    return answer
