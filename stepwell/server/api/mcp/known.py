"""Tools that agents know from the official server, and that are no operation of the REST API: made
of several, or looking into the documentation."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from stepwell.server.api.inside import Inside
from stepwell.server.api.mcp.pages import HITS_MAX, PATTERN_CHARS_MAX, lines_with, page, pages
from stepwell.server.api.mcp.tools import ToolSpec, WrongArguments
from stepwell.server.api.routing.problem import Problem

WAIT_S_MAX: Final = 60
RUNS_MAX: Final = 20
Told = dict[str, Any]

_TEXT: Final = {"type": "string"}
_SECONDS: Final = {
    "type": "number",
    "minimum": 0,
    "maximum": WAIT_S_MAX,
    "default": 30,
    "description": "Wait for the end of runs so many seconds at most.",
}
_RUN_ID: Final = {"type": "string", "description": "The id of a run."}


class _Invoke(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    function_id: str
    data: dict[str, Any] = {}
    user: dict[str, Any] | None = None
    timeout: float = 30.0


class _RunId(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    run_id: str


class _RunIds(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    run_ids: list[str]
    timeout: float = 30.0


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Pattern(msgspec.Struct, forbid_unknown_fields=True):
    pattern: str
    limit: int = 10


class _Path(msgspec.Struct, forbid_unknown_fields=True):
    path: str


async def _health(inside: Inside, given: _Nothing) -> Told:
    """Whether the server answers."""
    return {"data": await inside.data("get_health")}


async def _invoke(inside: Inside, given: _Invoke) -> Told:
    """Start a function by its id (such as shop-order) and wait for what its run brings. Newer
    clients use invoke_function, and get_run with `wait`."""
    listing = inside.deps.ledger.catalog.named(given.function_id)
    if listing is None:
        raise Problem(404, f"Function not found: {given.function_id[:80]!r}", "not_found")
    path = {"app_id": listing.app, "function_id": listing.slug}
    said: Told = {"data": given.data}
    if given.user is not None:
        said["user"] = given.user
    started = await inside.ask("invoke_function", path, body=said)
    run_id = started["data"]["runId"]
    seconds = _seconds(given.timeout)
    return {"data": await inside.data("get_run", {"run_id": run_id}, wait=seconds)}


async def _status(inside: Inside, given: _RunId) -> Told:
    """Where a run stands, with its output or error. Newer clients use get_run."""
    return {"data": await inside.data("get_run", {"run_id": given.run_id})}


async def _poll(inside: Inside, given: _RunIds) -> Told:
    """Wait until all these runs have ended, and tell each. Newer clients use get_run with
    `wait`."""
    if not 0 < len(given.run_ids) <= RUNS_MAX:
        raise WrongArguments(f"'runIds' names {len(given.run_ids)} runs: give 1 to {RUNS_MAX}")
    until_s = time.monotonic() + _seconds(given.timeout)
    found: list[Any] = []
    for run_id in given.run_ids:
        left_s = max(until_s - time.monotonic(), 0)
        found.append(await inside.data("get_run", {"run_id": run_id}, wait=f"{left_s:.3f}"))
    ended = ("COMPLETED", "FAILED", "CANCELLED")
    return {"data": found, "allEnded": all(run["status"] in ended for run in found)}


async def _list_docs(inside: Inside, given: _Nothing) -> Told:
    """The pages of Stepwell's documentation, each by its path and title."""
    found = await inside.deps.searched(pages)
    return {"data": [one._asdict() for one in found]}


async def _grep_docs(inside: Inside, given: _Pattern) -> Told:
    """Lines of the documentation that hold all words of `pattern`, whatever their case."""
    if not 0 < len(given.pattern) <= PATTERN_CHARS_MAX:
        raise WrongArguments(f"'pattern' must have 1 to {PATTERN_CHARS_MAX} characters")
    limit = min(max(given.limit, 1), HITS_MAX)
    found = await inside.deps.searched(lambda: lines_with(given.pattern, limit))
    return {"data": [hit._asdict() for hit in found]}


async def _read_doc(inside: Inside, given: _Path) -> Told:
    """A page of the documentation, by its path as list_docs tells it."""
    text = await inside.deps.searched(lambda: page(given.path))
    if text is None:
        raise Problem(404, f"there is no page {given.path[:80]!r}: list_docs has them", "not_found")
    return {"data": {"path": given.path, "text": text}}


def _seconds(asked: float) -> float:
    if not 0 <= asked <= WAIT_S_MAX:
        raise WrongArguments(f"'timeout' is {asked:g}: give 0 to {WAIT_S_MAX} seconds")
    return asked


class Known(msgspec.Struct, frozen=True):
    """A tool and what it does."""

    spec: ToolSpec
    kind: type[Any]
    does: Callable[[Inside, Any], Awaitable[Told]]

    async def call(self, inside: Inside, arguments: Mapping[str, Any]) -> Told:
        """What it answers. Raises WrongArguments and `Problem`."""
        try:
            given = msgspec.convert(dict(arguments), self.kind)
        except msgspec.ValidationError as error:
            raise WrongArguments(str(error)) from None
        return await self.does(inside, given)


def _known(
    name: str, does: Any, properties: Told, needed: tuple[str, ...] = (), *, reads: bool = True
) -> Known:
    schema = {
        "type": "object",
        "properties": properties,
        "required": [*needed],
        "additionalProperties": False,
    }
    said = " ".join((does.__doc__ or "").split())
    kind = does.__annotations__["given"]
    spec = ToolSpec(name, said, schema, {}, frozenset(), whole_body=False, reads=reads)
    return Known(spec, kind, does)


_OBJECT: Final = {"type": "object"}
_ALL: Final = (
    _known("health", _health, {}),
    _known(
        "invoke_function_sync",
        _invoke,
        {"functionId": _TEXT, "data": _OBJECT, "user": _OBJECT, "timeout": _SECONDS},
        ("functionId",),
        reads=False,
    ),
    _known("get_run_status", _status, {"runId": _RUN_ID}, ("runId",)),
    _known(
        "poll_run_status",
        _poll,
        {"runIds": {"type": "array", "items": _RUN_ID, "maxItems": RUNS_MAX}, "timeout": _SECONDS},
        ("runIds",),
    ),
    _known("list_docs", _list_docs, {}),
    _known(
        "grep_docs",
        _grep_docs,
        {
            "pattern": {**_TEXT, "description": "Words, in any order."},
            "limit": {"type": "integer", "minimum": 1, "maximum": HITS_MAX, "default": 10},
        },
        ("pattern",),
    ),
    _known("read_doc", _read_doc, {"path": _TEXT}, ("path",)),
)
KNOWN: Final[Mapping[str, Known]] = {one.spec.name: one for one in _ALL}
"""By name."""
