"""The table of layers is the law: every import is in it, and there are no cycles."""

import sys

from tests.repo.layers import EVERYWHERE, LATE_IMPORTS, LAYERS, PURE, Layer, adapter
from tests.repo.source import (
    PACKAGE,
    UNREADABLE,
    Module,
    external,
    internal,
    modules,
    within,
    written,
)


def short(name: str) -> str:
    return name.removeprefix(PACKAGE).removeprefix(".")


def layer_of(name: str) -> tuple[str, Layer] | None:
    """The longest prefix of the table that covers the module; the root covers only itself.

    What the table does not name is an adapter, if it lies in the package itself.
    """
    candidates = [key for key in LAYERS if key and within(name, key)]
    if name == "":
        candidates = [""]
    best = max(candidates, key=len, default=None)
    if best is not None:
        return best, LAYERS[best]
    return None if "." in name else (name, adapter(name))


def breaches(module: Module) -> list[str]:
    found = layer_of(short(module.name))
    if found is None:
        return [f"{module.where}: no layer covers this module; add it to tests/repo/layers.py"]
    prefix, layer = found
    bad: list[str] = []
    for target in map(short, internal(module)):
        own = within(target, prefix) if prefix else target == ""
        if not own and not any(within(target, allowed) for allowed in layer.inside):
            bad.append(f"{module.where} imports {PACKAGE}.{target}: {prefix!r} may not")
    for target in external(module):
        if target.split(".")[0] in sys.stdlib_module_names:
            continue
        if not any(within(target, allowed) for allowed in (*layer.outside, *EVERYWHERE)):
            bad.append(f"{module.where} imports {target}: {prefix!r} may not")
    return bad


def test_every_file_is_python_of_the_oldest_supported_version() -> None:
    assert modules()
    assert UNREADABLE == {}


def test_every_import_is_allowed_by_the_table() -> None:
    assert [breach for module in written() for breach in breaches(module)] == []


def test_sdk_and_server_never_meet() -> None:
    for one, other in (("sdk", "server"), ("server", "sdk")):
        for module in written():
            if within(short(module.name), one):
                meets = [t for t in internal(module) if within(short(t), other)]
                assert meets == [], f"{module.where} imports {meets}"


def test_the_table_does_not_allow_what_the_law_forbids() -> None:
    """No edit of the table lets SDK and server meet, nor a pure room depend on a shell."""
    for key, layer in LAYERS.items():
        for allowed in layer.inside:
            assert not (within(key, "sdk") and within(allowed, "server"))
            assert not (within(key, "server") and within(allowed, "sdk"))
            if any(within(key, pure) for pure in PURE):
                assert any(within(allowed, pure) for pure in PURE), f"{key} → {allowed}"


def cycle_from(start: str, graph: dict[str, list[str]]) -> list[str] | None:
    """A path from `start` back to itself, shortest first, or None."""
    paths, seen = [[start]], {start}
    while paths:
        path = paths.pop(0)
        for target in graph.get(path[-1], []):
            if target == start:
                return [*path, start]
            if target not in seen:
                seen.add(target)
                paths.append([*path, target])
    return None


def test_no_import_cycles() -> None:
    graph = {name: internal(module) for name, module in modules().items()}
    cycles = {tuple(sorted(set(c))): c for name in graph if (c := cycle_from(name, graph))}
    assert [" → ".join(c) for c in cycles.values()] == []


def test_a_cycle_would_be_found() -> None:
    assert cycle_from("a", {"a": ["b"], "b": ["c"], "c": ["a"]}) == ["a", "b", "c", "a"]
    assert cycle_from("a", {"a": ["b"], "b": ["c"], "c": ["b"]}) is None


def test_imports_inside_functions_are_on_the_list() -> None:
    late = {
        (module.name, found.target)
        for module in written()
        for found in module.imports
        if found.inside_function
    }
    assert late - LATE_IMPORTS == set(), "move them to the top, or list them with a reason"
    assert LATE_IMPORTS - late == set(), "no longer needed in the list"
