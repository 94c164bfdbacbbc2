"""Every module says what it is the only place for; every public name says what it does."""

import ast

import stepwell
from tests.repo.source import Module, written

TYPED_ROOMS = ("stepwell.wire", "stepwell.expr", "stepwell.server.engine", "stepwell.server.flow")


def is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("overload" in ast.unparse(d) for d in node.decorator_list)


def undocumented(module: Module) -> list[str]:
    if not module.text.strip():
        return []
    bad = [] if ast.get_docstring(module.tree) else [f"{module.where}: the module"]
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_") or ast.get_docstring(node):
            continue
        if not isinstance(node, ast.ClassDef) and is_overload(node):
            continue
        bad.append(f"{module.where}:{node.lineno} {node.name}")
    return bad


def test_modules_and_their_public_names_are_documented() -> None:
    assert [name for module in written() for name in undocumented(module)] == []


def public_names() -> list[str]:
    return list(getattr(stepwell, "__all__", ()))


def test_public_names_exist() -> None:
    assert [name for name in public_names() if not hasattr(stepwell, name)] == []


def test_public_names_and_their_methods_are_documented() -> None:
    bad: list[str] = []
    for name in public_names():
        thing = getattr(stepwell, name)
        if not callable(thing) or not getattr(thing, "__module__", "").startswith("stepwell"):
            continue
        if not (getattr(thing, "__doc__", None) or "").strip():
            bad.append(name)
        for attribute, member in list(vars(thing).items()) if isinstance(thing, type) else ():
            plain = getattr(member, "__func__", getattr(member, "fget", member))
            if attribute.startswith("_") or not callable(plain):
                continue
            if not (getattr(plain, "__doc__", None) or "").strip():
                bad.append(f"{name}.{attribute}")
    assert bad == []


def test_no_any_where_types_are_the_law() -> None:
    bad = [
        f"{module.where}:{node.lineno}"
        for module in written()
        if module.name.startswith(TYPED_ROOMS)
        for node in module.nodes
        if (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
    ]
    assert bad == []
