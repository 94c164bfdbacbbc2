"""What names of a module stand for: which calls are steps, which are sends of a client. Pure."""

import ast
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Handler: TypeAlias = Function | ast.Lambda

_PACKAGES = frozenset({"stepwell", "inngest"})
_STEPS = frozenset({"step", "step_sync"})


class Names(NamedTuple):
    """Names of a module that are no context and yet about steps."""

    steps: frozenset[str]
    """`step`, where it is imported."""
    clients: frozenset[str]
    """What `Inngest(...)` is assigned to."""

    def is_step(self, call: ast.Call) -> bool:
        """Is this `ctx.step.run(...)`, `step.run(...)` or the like?"""
        found: ast.expr = call.func
        while isinstance(found, ast.Attribute):
            found = found.value
            if isinstance(found, ast.Attribute) and found.attr == "step":
                return isinstance(found.value, ast.Name)
            if isinstance(found, ast.Name) and found.id in self.steps:
                return True
        return False

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
            steps |= {one.asname or one.name for one in node.names if one.name in _STEPS}
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


def bound_in(function: Handler) -> frozenset[str]:
    """The function's arguments and what it assigns to."""
    told = function.args
    arguments = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
    found = {one.arg for one in arguments if one is not None}
    elsewhere: set[str] = set()
    for node in own_nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere |= set(node.names)
    return frozenset(found - elsewhere)
