"""The only place that compiles and evaluates expressions: Inngest's dialect of CEL.

The CEL library parses; its own evaluator raises on missing fields and mixed types, where the
dialect has answers, so the tree is walked here. Law: an expression is compiled once into plain
closures and reads nothing but its variables and the moment it is given.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeAlias, cast

import msgspec

from stepwell.expr import function as functions
from stepwell.expr.budget import (
    FAILED_STEPS,
    FOLDED_STEPS_MAX,
    STEPS_MAX,
    WEIGHTS,
    TooCostly,
    Weigh,
    depth_of,
    size_of,
)
from stepwell.expr.interpolation import interpolated
from stepwell.expr.tree import (
    Call,
    Const,
    EvaluationError,
    ExpressionError,
    Fold,
    Ident,
    ListOf,
    MapOf,
    Node,
    Select,
    children,
    parse,
)
from stepwell.expr.value import EPOCH, JSON, MISSING, field, is_list, is_map, plain, taken, truthy

__all__ = [
    "EvaluationError",
    "ExpressionError",
    "Judged",
    "Program",
    "Reckoned",
    "compile_expression",
    "compile_node",
    "compile_search",
]

ROOTS = frozenset({"event", "async", "vars"})
SEARCHED = frozenset({"event", "output", "error"})
"""What a search of runs may read."""
_CACHED_CHARS_MAX = 4096
_SIZED = (list, dict, str, bytes)
_NOT_STRICTLY_FALSE = "@not_strictly_false"


class _Frame:
    """One evaluation: variables, the present moment, and the work it may still do."""

    __slots__ = ("now", "steps_left", "variables")

    def __init__(
        self, variables: dict[str, object], now: datetime | None, steps: int = STEPS_MAX
    ) -> None:
        self.variables = variables
        self.now = now
        self.steps_left = steps

    def spend(self, steps: int) -> None:
        self.steps_left -= steps
        if self.steps_left < 0:
            raise TooCostly


_Run: TypeAlias = Callable[[_Frame], object]
_Done: TypeAlias = Callable[[_Frame, object], object]


class Judged(msgspec.Struct, frozen=True, gc=False):
    """Whether a condition holds, the steps it took, and why it could not be judged, if so."""

    holds: bool
    steps: int
    problem: str = ""

    @property
    def is_too_costly(self) -> bool:
        """Whether it would have taken more steps than there are."""
        return self.steps > STEPS_MAX


class Reckoned(msgspec.Struct, frozen=True, gc=False):
    """The value of an expression, the steps it took, and why it has none, if so."""

    value: JSON
    steps: int
    problem: str = ""

    @property
    def is_too_costly(self) -> bool:
        """Whether it would have taken more steps than there are."""
        return self.steps > STEPS_MAX


class Program:
    """A compiled expression. Two programs are equal if their sources are."""

    __slots__ = ("_run", "_size", "source", "tree")

    def __init__(self, source: str, tree: Node, run: _Run) -> None:
        self.source = source
        self.tree = tree
        self._run = run
        self._size = size_of(tree)

    @property
    def roots(self) -> frozenset[str]:
        """Which variables it reads, such as `event` and `async`."""
        return frozenset(_names(self.tree)) & (ROOTS | SEARCHED)

    @property
    def calls(self) -> frozenset[str]:
        """The functions and methods it calls, macros as `macro`; operators and `has` are none."""
        return frozenset(_calls(self.tree))

    @property
    def is_plain(self) -> bool:
        """Whether it only compares, computes and converts, as conditions of `cancel` must."""
        return self.calls <= functions.CONVERSIONS

    def evaluate(self, variables: Mapping[str, object], now_ms: int | None = None) -> JSON:
        """The value for these variables (JSON), as JSON; a missing field gives false.

        Numbers of the variables are doubles: an `int` comes only from literals and `int()`.
        `now_ms`, milliseconds since 1970, is needed by `now()` and its kin. Raises EvaluationError,
        also for what would take more than `budget.STEPS_MAX` steps.
        """
        found = self.reckon(variables, now_ms)
        if found.problem:
            raise EvaluationError(found.problem)
        return found.value

    def reckon(self, variables: Mapping[str, object], now_ms: int | None = None) -> Reckoned:
        """The same with what it took, and without raising."""
        frame, problem = _frame(variables, now_ms), ""
        value: object = None
        try:
            value = self._value(frame, _plain)
        except EvaluationError as error:
            problem = str(error) or type(error).__name__
        return Reckoned(cast("JSON", value), STEPS_MAX - frame.steps_left, problem)

    def holds(self, variables: Mapping[str, object], now_ms: int | None = None) -> bool:
        """Whether the value is true; an error, and any value that is no boolean, is a no."""
        return self.judge(variables, now_ms).holds

    def judge(self, variables: Mapping[str, object], now_ms: int | None = None) -> Judged:
        """The same, with what it took; `problem` says why it could not be judged.

        What counts as false in logic, such as a missing field or an empty text, is an honest no.
        """
        frame, problem = _frame(variables, now_ms), ""
        value: object = False
        try:
            value = self._value(frame)
        except EvaluationError as error:
            problem = str(error)
        if value is not True and truthy(value):
            problem = f"it gives a {functions.type_name(value)}, not true or false"
        return Judged(value is True, STEPS_MAX - frame.steps_left, problem)

    def interpolate(self, event: Mapping[str, object]) -> str:
        """The source with every value of `event` put in its place.

        The result needs only `async` and gives what this gives with both. Fields that are missing
        stay as they are: without the variable they are missing still.
        """
        return interpolated(self.source, self.tree, event)

    def _value(self, frame: _Frame, done: "_Done | None" = None) -> object:
        try:
            frame.spend(self._size)
            value = self._run(frame)
            return value if done is None else done(frame, value)
        except TooCostly as error:
            raise EvaluationError(str(error)) from None
        except (RecursionError, OverflowError):
            raise EvaluationError("the values are too deep or too large") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"Program({self.source!r})"


def _plain(frame: _Frame, value: object) -> JSON:
    frame.spend(2 * depth_of(value, STEPS_MAX))
    return plain(value)


def _frame(variables: Mapping[str, object], now_ms: int | None) -> _Frame:
    now = None if now_ms is None else EPOCH + timedelta(milliseconds=now_ms)
    return _Frame(dict(variables), now)


def _names(node: Node) -> list[str]:
    found = [node.name] if isinstance(node, Ident) else []
    return found + [name for child in children(node) for name in _names(child)]


def _calls(node: Node) -> list[str]:
    found: list[str] = []
    if isinstance(node, Fold):
        found = ["macro"]
    elif isinstance(node, Call) and (node.function.isidentifier()):
        found = [node.function]
    return found + [name for child in children(node) for name in _calls(child)]


class _Compiler:
    """Turns a tree into closures, refusing what the dialect does not have."""

    def __init__(self, source: str, roots: frozenset[str]) -> None:
        self.source = source
        self.roots = roots

    def refuse(self, message: str) -> ExpressionError:
        return ExpressionError(self.source, message)

    def run(self, node: Node, bound: frozenset[str]) -> _Run:
        match node:
            case Const(value):
                return lambda frame: value
            case Ident():
                return self._ident(node, bound)
            case Select():
                return self._select(node, bound)
            case Call():
                return self._call(node, bound)
            case ListOf(items):
                runs = [self.run(item, bound) for item in items]
                return lambda frame: [_present(run(frame)) for run in runs]
            case MapOf(entries):
                return self._map_of(entries, bound)
            case Fold():
                return self._fold(node, bound)

    def _ident(self, node: Ident, bound: frozenset[str]) -> _Run:
        name = node.name
        if name not in bound and name not in self.roots:
            kind = functions.TYPE_IDENTIFIERS.get(name)
            if kind is None:
                raise self.refuse(f"undeclared reference to {name!r}: use {_named(self.roots)}")
            return lambda frame: kind
        return lambda frame: frame.variables.get(name, MISSING)

    def _select(self, node: Select, bound: frozenset[str]) -> _Run:
        name = node.field
        run = self.run(node.operand, bound)
        if not node.test:
            return lambda frame: field(run(frame), name)

        def test(frame: _Frame) -> bool:
            operand = run(frame)
            return is_map(operand) and name in operand

        return test

    def _map_of(self, entries: tuple[tuple[Node, Node], ...], bound: frozenset[str]) -> _Run:
        runs = [(self.run(key, bound), self.run(value, bound)) for key, value in entries]

        def build(frame: _Frame) -> object:
            built: dict[object, object] = {}
            for key_run, value_run in runs:
                key = key_run(frame)
                if not isinstance(key, str | int | float | bool):
                    raise EvaluationError("a key of a map must be text, a number or a boolean")
                built[key] = _present(value_run(frame))
            return built

        return build

    def _call(self, node: Call, bound: frozenset[str]) -> _Run:
        name = node.function
        nodes = node.args if node.target is None else (node.target, *node.args)
        runs = [self.run(one, bound) for one in nodes]
        if name in _LAZY:
            return _LAZY[name](*runs)
        if name in functions.CLOCK and node.target is None:
            self._check_count(name, len(node.args), functions.CLOCK[name][1:])
            return _clocked(functions.CLOCK[name][0], runs, WEIGHTS.get(name))
        if _is_gathered(node):
            return _gathered(runs[0], runs[1])
        called = _applied(name, self._function(node), runs)
        if nodes and all(isinstance(one, Const) for one in nodes):
            return _folded(called)
        return called

    def _function(self, node: Call) -> functions.Function:
        name = node.function
        if name in functions.OPERATORS and node.target is None:
            return functions.OPERATORS[name]
        table = functions.GLOBALS if node.target is None else functions.METHODS
        if name not in table:
            kind = "function" if node.target is None else "method"
            raise self.refuse(f"there is no {kind} {name}: use one of {', '.join(sorted(table))}")
        work, least, most = table[name]
        self._check_count(name, len(node.args), (least, most))
        return work

    def _check_count(self, name: str, count: int, wanted: tuple[int, int]) -> None:
        if not wanted[0] <= count <= wanted[1]:
            raise self.refuse(f"{name} does not take {count} arguments")

    def _fold(self, node: Fold, bound: frozenset[str]) -> _Run:
        inner = bound | {node.variable, node.accumulator}
        over, initial = self.run(node.range, bound), self.run(node.initial, bound)
        is_over, step = _end_of(node), self.run(node.step, inner)
        result = self.run(node.result, bound | {node.accumulator})
        variable, accumulator = node.variable, node.accumulator
        cost = size_of(node.step)

        def fold(frame: _Frame) -> object:
            items = over(frame)
            if items is MISSING:
                return MISSING
            if not is_list(items) and not is_map(items):
                raise EvaluationError("a macro needs a list or a map")
            outer = frame.variables
            frame.variables = {**outer, accumulator: initial(frame)}
            try:
                for item in items:
                    frame.spend(cost)
                    if is_over is not None and is_over(frame.variables[accumulator]):
                        break
                    frame.variables[variable] = taken(item)
                    frame.variables[accumulator] = step(frame)
                return result(frame)
            finally:
                frame.variables = outer

        return fold


def _end_of(node: Fold) -> Callable[[object], bool] | None:
    """What ends a macro before its list does: `exists` has found one, `all` one that is not."""
    if isinstance(node.condition, Const):
        return None
    assert isinstance(node.condition, Call)
    assert node.condition.function == _NOT_STRICTLY_FALSE
    if isinstance(node.condition.args[0], Call):
        return truthy
    return lambda gathered: gathered is False


def _present(value: object) -> object:
    return None if value is MISSING else value


def _both(left: _Run, right: _Run) -> _Run:
    def both(frame: _Frame) -> object:
        try:
            first = left(frame)
        except EvaluationError:
            # As in CEL: a false side decides whatever happened to the other.
            frame.spend(FAILED_STEPS)
            second = right(frame)
            if truthy(second):
                raise
            return second
        return right(frame) if truthy(first) else first

    return both


def _either(left: _Run, right: _Run) -> _Run:
    def either(frame: _Frame) -> object:
        try:
            first = left(frame)
        except EvaluationError:
            frame.spend(FAILED_STEPS)
            second = right(frame)
            if truthy(second):
                return second
            raise
        return first if truthy(first) else right(frame)

    return either


def _negated(run: _Run) -> _Run:
    return lambda frame: not truthy(run(frame))


def _chosen(condition: _Run, then: _Run, otherwise: _Run) -> _Run:
    return lambda frame: then(frame) if truthy(condition(frame)) else otherwise(frame)


_LAZY: dict[str, Callable[..., _Run]] = {
    "_&&_": _both,
    "_||_": _either,
    "!_": _negated,
    "_?_:_": _chosen,
}


def _applied(name: str, work: functions.Function, runs: list[_Run]) -> _Run:
    bears_missing = name in functions.BEARS_MISSING
    weigh = WEIGHTS.get(name)
    if weigh is not None:
        return _weighed(work, runs, weigh, bears_missing=bears_missing)
    if bears_missing and len(runs) == 2:
        left, right = runs
        return lambda frame: work(left(frame), right(frame))

    def call(frame: _Frame) -> object:
        args = [run(frame) for run in runs]
        if not bears_missing and any(arg is MISSING for arg in args):
            return False
        return work(*args)

    return call


def _weighed(
    work: functions.Function, runs: list[_Run], weigh: Weigh, *, bears_missing: bool
) -> _Run:
    """The same for what takes more steps the more it is given."""
    if bears_missing and len(runs) == 2:
        left, right = runs

        def both(frame: _Frame) -> object:
            one, other = left(frame), right(frame)
            if isinstance(one, _SIZED) or isinstance(other, _SIZED):
                frame.spend(weigh(one, other))
            return work(one, other)

        return both

    def call(frame: _Frame) -> object:
        args = [run(frame) for run in runs]
        if not bears_missing and any(arg is MISSING for arg in args):
            return False
        steps = weigh(*args)
        if steps:
            frame.spend(steps)
        return work(*args)

    return call


def _is_gathered(node: Call) -> bool:
    """Whether a macro puts one more item at the end of the list it gathers (no name of a user's
    begins like that of the list)."""
    if node.function != "_+_":
        return False
    left, right = node.args
    return isinstance(left, Ident) and left.name.startswith("@") and isinstance(right, ListOf)


def _gathered(gathering: _Run, more: _Run) -> _Run:
    """Nobody else has the list: it need not be copied for each item."""

    def gather(frame: _Frame) -> object:
        found, added = gathering(frame), more(frame)
        if not is_list(found) or not is_list(added):
            raise EvaluationError("a macro gathers a list")
        found += added
        return found

    return gather


def _clocked(
    work: Callable[[datetime, object], datetime], runs: list[_Run], weigh: Weigh | None
) -> _Run:
    def call(frame: _Frame) -> object:
        if frame.now is None:
            raise EvaluationError("now() has no meaning here")
        argument = runs[0](frame) if runs else None
        if weigh is not None:
            frame.spend(weigh(argument))
        return False if argument is MISSING else work(frame.now, argument)

    return call


def _folded(called: _Run) -> _Run:
    """A call whose arguments are all literals, done once; errors stay where they were."""
    try:
        value = called(_Frame({}, None, FOLDED_STEPS_MAX))
    except (EvaluationError, TooCostly, OverflowError):
        return called
    return lambda frame: value


def _named(roots: frozenset[str]) -> str:
    *others, last = [
        name for name in ("event", "async", "vars", "output", "error") if name in roots
    ]
    return f"{', '.join(others)} or {last}"


def compile_node(source: str, tree: Node, roots: frozenset[str] = ROOTS) -> Program:
    """The program of a tree that was taken from, or made of, the tree of `source`; it may read
    these variables."""
    try:
        return Program(source, tree, _Compiler(source, roots).run(tree, frozenset()))
    except RecursionError:
        raise ExpressionError(source, "the expression is nested too deeply: simplify it") from None


def _compile(source: str) -> Program:
    return compile_node(source, parse(source))


_remembered = lru_cache(maxsize=4096)(_compile)


def compile_expression(source: str) -> Program:
    """The program of an expression, remembered for the next time.

    Raises ExpressionError for bad syntax, an unknown function, and names other than `event`,
    `async` and `vars`.
    """
    return _remembered(source) if len(source) <= _CACHED_CHARS_MAX else _compile(source)


def compile_search(source: str) -> Program:
    """The program of a search of runs: a condition on each line, all of which must hold, over
    `event`, `output` (what a run returned) and `error` (what it failed with).

    Raises ExpressionError.
    """
    lines = [(number, line) for number, line in enumerate(source.splitlines(), 1) if line.strip()]
    for number, line in lines:
        _parse_line(source, line, number)
    joined = " && ".join(f"({line.strip()})" for _, line in lines)
    return compile_node(source, parse(joined), SEARCHED)


def _parse_line(source: str, line: str, number: int) -> None:
    """Raises ExpressionError, at the place within the whole source."""
    indent = len(line) - len(line.lstrip())
    try:
        parse(line.strip())
    except ExpressionError as error:
        if not error.line:
            raise
        column = error.column + indent
        raise ExpressionError(source, error.message, number, column) from None
