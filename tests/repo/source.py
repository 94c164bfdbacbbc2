"""Reads the package as text: its modules, their syntax trees and who imports whom. Runs nothing."""

import ast
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "stepwell"
GENERATED = frozenset({"stepwell.wire.connect_pb2"})
# Files that are no Python of the oldest supported version, with the parser's words.
UNREADABLE: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module: `from a.b import c` names `a.b.c` if that is a module, else `a.b`."""

    target: str
    line: int
    inside_function: bool


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    path: Path
    is_package: bool
    text: str
    tree: ast.Module
    imports: tuple[Import, ...]
    nodes: tuple[ast.AST, ...]
    """All of the tree, gone through once for all laws."""

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))


def _name_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def _absolute(node: ast.ImportFrom, name: str, *, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    parts = name.split(".")
    keep = len(parts) - node.level + (1 if is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def imports_in(
    tree: ast.AST, name: str, known: frozenset[str], *, is_package: bool
) -> Iterator[Import]:
    """Every import below `tree`, with `from package import module` resolved to the module."""

    def visit(node: ast.AST, *, inside: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, inside)
            elif isinstance(child, ast.ImportFrom):
                source = _absolute(child, name, is_package=is_package)
                for alias in child.names:
                    longer = f"{source}.{alias.name}"
                    yield Import(longer if longer in known else source, child.lineno, inside)
            else:
                deeper = inside or isinstance(
                    child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
                )
                yield from visit(child, inside=deeper)

    return visit(tree, inside=False)


@cache
def modules() -> dict[str, Module]:
    """All modules of the package by dotted name, generated ones included."""
    paths = sorted((ROOT / PACKAGE).rglob("*.py"))
    known = frozenset(_name_of(path) for path in paths)
    found: dict[str, Module] = {}
    # Millions of nodes that stay: the collector need not look at them again and again.
    gc.disable()
    for path in paths:
        name, is_package = _name_of(path), path.name == "__init__.py"
        text = path.read_text(encoding="utf-8")
        try:
            tree = ast.parse(text, str(path), feature_version=(3, 11))
        except SyntaxError as error:
            tree = ast.Module([], [])
            UNREADABLE[str(path.relative_to(ROOT))] = str(error)
        imports = tuple(dict.fromkeys(imports_in(tree, name, known, is_package=is_package)))
        nodes = tuple(ast.walk(tree))
        found[name] = Module(name, path, is_package, text, tree, imports, nodes)
    gc.freeze()
    gc.enable()
    return found


def written() -> list[Module]:
    """The modules people write, without the generated ones."""
    return [module for module in modules().values() if module.name not in GENERATED]


def internal(module: Module) -> list[str]:
    """The modules of this package that `module` imports, itself left out."""
    targets = {i.target for i in module.imports if i.target.split(".")[0] == PACKAGE}
    return sorted(targets - {module.name})


def external(module: Module) -> list[str]:
    """The dotted names outside this package that `module` imports."""
    return sorted({i.target for i in module.imports if i.target.split(".")[0] != PACKAGE})


def within(name: str, prefix: str) -> bool:
    """Is `name` the module `prefix` or inside the package `prefix`?"""
    return name == prefix or name.startswith(prefix + ".")
