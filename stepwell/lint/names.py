"""What names of a module stand for: which calls are steps, which are sends of a client. Pure."""

import ast
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Handler: TypeAlias = Function | ast.Lambda

STEPS = frozenset(
    {"run", "send_event", "sleep", "sleep_until", "wait_for_event", "invoke", "invoke_by_id"}
    | {"wait_for_signal", "send_signal", "fetch", "score", "metadata"}
    | {"ai.infer", "ai.wrap", "realtime.publish"}
)
"""What follows `ctx.step.` in a call that is a step."""
_PACKAGES = frozenset({"stepwell", "inngest"})
_IMPORTED = frozenset({"step", "step_sync"})
_CONTAINERS = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict"}
)
_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


class Names(NamedTuple):
    """Names of a module that are no context and yet about steps."""

    steps: frozenset[str]
    """`step`, where it is imported."""
    clients: frozenset[str]
    """What `Inngest(...)` is assigned to."""

    def without(self, names: frozenset[str]) -> "Names":
        """The same where these names stand for something else."""
        return Names(self.steps - names, self.clients - names)

    def is_step(self, call: ast.Call) -> bool:
        """Is this `ctx.step.run(...)`, `step.run(...)` or the like?"""
        found, said = call.func, list[str]()
        while isinstance(found, ast.Attribute) and found.attr != "step":
            said.insert(0, found.attr)
            found = found.value
        if ".".join(said) not in STEPS:
            return False
        if isinstance(found, ast.Attribute):
            return isinstance(found.value, ast.Name)
        return isinstance(found, ast.Name) and found.id in self.steps

    def is_send(self, call: ast.Call) -> bool:
        """Is this `client.send(...)`?"""
        asked = call.func
        return (
            isinstance(asked, ast.Attribute)
            and asked.attr == "send"
            and isinstance(asked.value, ast.Name)
            and asked.value.id in self.clients
        )


def names_of(tree: ast.Module) -> Names:
    """The names of a module."""
    steps: set[str] = set()
    clients: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in _PACKAGES:
            steps |= {one.asname or one.name for one in node.names if one.name in _IMPORTED}
        elif isinstance(node, ast.Assign) and _makes_client(node.value):
            clients |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and node.value and _makes_client(node.value):
            clients |= {node.target.id} if isinstance(node.target, ast.Name) else set()
    return Names(frozenset(steps), frozenset(clients))


def _makes_client(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    made = value.func
    return (isinstance(made, ast.Name) and made.id == "Inngest") or (
        isinstance(made, ast.Attribute) and made.attr == "Inngest"
    )


def own_nodes(function: Handler) -> Iterator[ast.AST]:
    """What runs when the function itself runs: not what functions inside of it hold."""
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Handler):
            waiting.extend(ast.iter_child_nodes(node))


def arguments_of(function: Handler) -> frozenset[str]:
    """The names of the function's arguments."""
    told = function.args
    arguments = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
    return frozenset(one.arg for one in arguments if one is not None)


def bound_in(function: Handler) -> frozenset[str]:
    """The function's arguments and what it binds."""
    found = set(arguments_of(function))
    elsewhere: set[str] = set()
    for node in own_nodes(function):
        if isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere |= set(node.names)
        else:
            found.update(_bound_by(node))
    return frozenset(found - elsewhere)


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.ExceptHandler(name=str(name)):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((one.asname or one.name).partition(".")[0] for one in names)
        case _:
            pass


def containers_in(function: Handler) -> frozenset[str]:
    """Variables of the function that are lists, dictionaries and the like, as it says itself."""
    found: set[str] = set()
    for node in own_nodes(function):
        match node:
            case ast.Assign(targets=targets, value=value) if _is_container(value):
                found |= {one.id for one in targets if isinstance(one, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found |= {name} if _is_container(value) else set()
            case _:
                pass
    return frozenset(found)


def _is_container(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return isinstance(value, _DISPLAYS)
    made = value.func.value if isinstance(value.func, ast.Subscript) else value.func
    name = made.attr if isinstance(made, ast.Attribute) else getattr(made, "id", "")
    return name in _CONTAINERS
