"""Whatever is remembered has a key, and the key says all the answer depends on.

A cache that is not in this table fails the test: whoever adds one says why its key will do.
"""

import ast
from collections.abc import Iterator

from tests.repo.source import Module, written

# Where it is: (what it is keyed by, why two answers for one key cannot differ).
CACHES: dict[str, tuple[str, str]] = {
    "stepwell.cron._changes": ("zone and year", "zones are those of the process"),
    "stepwell.cron.parse": ("the schedule's text", "it is parsed from nothing else"),
    "stepwell.django.discovery._beyond": (
        "the client, weakly",
        "a function is added to one client",
    ),
    "stepwell.django.target.make_application": ("nothing", "there is one project in a process"),
    "stepwell.expr.dialect._remembered": (
        "the expression's text",
        "it is compiled from nothing else",
    ),
    "stepwell.django.refused._served": (
        "the client, itself",
        "it is asked which paths are its endpoints",
    ),
    "stepwell.opentelemetry._told": (
        "what a call notes, weakly, and the step",
        "it is what the spans of one call have told so far",
    ),
    "stepwell.expr.tree.offsets": ("the tree", "it never changes"),
    "stepwell.sdk.net.blocking._certificates": (
        "nothing",
        "the system's certificates are one set",
    ),
    "stepwell.sdk.value.codec._adapters": ("the type, see type_key", "nothing else counts"),
    "stepwell.sdk.value.codec._codecs": ("the type, see type_key", "nothing else counts"),
    "stepwell.sdk.function.dependency._overrides": (
        "the provider",
        "equal providers are one: a method taken twice from one object",
    ),
    "stepwell.sdk.function.dependency._workers": (
        "the event loop, weakly",
        "values live as long as it does",
    ),
    "stepwell.sdk.value.typed_dict._known": ("the type, see type_key", "nothing else counts"),
    "stepwell.sdk.step.handler._compiled": (
        "the annotation's text",
        "its names are looked up each time",
    ),
    "stepwell.sdk.middleware.declared._clients": (
        "the client, weakly, in each middleware",
        "init is called once for each client",
    ),
    "stepwell.sdk.middleware.given._known": (
        "code, number and names of defaults, arguments offered",
        "code that is equal has equal parameters, and functions with attributes are not kept",
    ),
    "stepwell.sdk.value.serializer._adapters": (
        "the type, see type_key",
        "nothing else counts",
    ),
    "stepwell.sdk.serve.checkpoint._ways": ("the event loop, weakly", "connections belong to it"),
    "stepwell.sdk.serve.wsgi._key": ("the header's name", "it is rewritten from nothing else"),
    "stepwell.sdk.timing._LOOKS": ("the event loop, weakly", "times are those of one loop"),
    "stepwell.sdk.client.client.realtime": (
        "nothing, in each client",
        "it asks the client anew for whatever may change",
    ),
    "stepwell.sdk.client.reach.api": ("nothing, in each reach", "its settings never change"),
    "stepwell.sdk.client.reach.event_port": ("nothing, in each reach", "its settings never change"),
    "stepwell.sdk.client.reach.http": ("nothing, in each reach", "its settings never change"),
    "stepwell.sdk.serve.setup._others": (
        "all variables and the mode that came with a request",
        "nothing else differs between requests; another reach of the client empties it",
    ),
    "stepwell.server.drivers.http_pool._canonical": ("the header's name", "pure"),
    "stepwell.server.drivers.http_pool._urls": ("the URL's text", "it is parsed from nothing else"),
    "stepwell.server.engine.state.catalog._heard": (
        "the event's name, in each catalog",
        "a catalog never changes; another registration makes another one",
    ),
    "stepwell.server.engine.name.lane.lane_of": ("the lane's name", "it says everything"),
    "stepwell.server.store.postgres.connection._of_few": (
        "the statement's name and the number of rows, two at most",
        "statements are read once, when the module is",
    ),
    "stepwell.server.store.sqlite.recent._old": ("the id of a run or event", "one store, one row"),
    "stepwell.server.store.sqlite.recent._young": (
        "the id of a run or event",
        "one store, one row",
    ),
    "stepwell.server.turns._lines": ("the event loop, weakly", "the line is of one loop"),
    "stepwell.wire.identifier._time_letters": ("the time", "pure"),
    "stepwell.wire.identifier.app_uuid": ("the app's name", "pure"),
    "stepwell.wire.identifier.function_uuid": ("the function's id", "pure"),
    "stepwell.wire.identifier.step_hash": ("the step's id", "pure"),
}
# Empty tables that are bound by name alone: found by what is done with them, not by their making.
KEPT_BY_HAND = {
    "stepwell.sdk.serve.setup._others",
    "stepwell.server.drivers.http_pool._urls",
    "stepwell.server.engine.state.catalog._heard",
    "stepwell.server.store.sqlite.recent._old",
    "stepwell.server.store.sqlite.recent._young",
}

_DECORATORS = frozenset({"cache", "lru_cache", "cached_property"})
_MAKERS = frozenset({"WeakKeyDictionary", "WeakValueDictionary", "KeptByType"})


def _called(node: ast.expr | None) -> str:
    while isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    return getattr(node, "id", getattr(node, "attr", ""))


def _caches(module: Module) -> Iterator[str]:
    at_the_top = set(module.tree.body)
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(_called(one) in _DECORATORS for one in node.decorator_list):
                yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            made = isinstance(node.value, ast.Call) and _called(node.value) in _MAKERS | _DECORATORS
            empty = isinstance(node.value, ast.Dict) and not node.value.keys and node in at_the_top
            if made or empty:
                yield from (getattr(one, "id", getattr(one, "attr", "")) for one in targets)


def test_every_cache_is_known_with_its_key() -> None:
    found = {
        f"{module.name}.{name}"
        for module in written()
        if not module.name.startswith("stepwell.testing")
        for name in _caches(module)
    }
    assert found | KEPT_BY_HAND == CACHES.keys()


def test_what_is_kept_by_hand_is_there() -> None:
    texts = {module.name: module.text for module in written()}
    for one in KEPT_BY_HAND:
        module, _, name = one.rpartition(".")
        assert f"self.{name}" in texts[module], one
