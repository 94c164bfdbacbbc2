"""A bound of steps is a bound of time, whatever an expression calls and a sender gives it.

Judged by the processor time of the thread, and loosely: a step is meant to be half a microsecond.
"""

from time import thread_time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwell.expr.dialect import compile_expression
from stepwell.wire.outside import DEPTH_MAX

SECONDS_MAX = 0.25
"""Five times what is meant, for a machine that does other things."""


def _deep(levels: int) -> object:
    value: object = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def _wide() -> object:
    return [[{"a": str(n), "b": n} for n in range(30)] for _ in range(100)]


DATA = {
    "many": list(range(10_000)),
    "same": list(range(10_000)),
    "words": [f"word {n}" for n in range(10_000)],
    "lists": [[] for _ in range(10_000)],
    "dates": ["2026-01-01T00:00:00Z"] * 5_000,
    "long": "a" * 1_000_000,
    "equal": "a" * 999_999 + "b",
    "accents": "é" * 200_000,
    "naive": "a" * 2_499,
    "part": "a" * 1_200 + "b" + "a",
    "spaces": " " * 300_000,
    "digits": "9" * 4_300,
    "whole": int("9" * 4_300),
    "hours": "1h" * 100_000,
    "brackets": "[" * 200_000,
    "json": "[" + "[]," * 100_000 + "1]",
    "objects": "[" + '{"a":1},' * 40_000 + "1]",
    "code": "////" * 50_000,
    "deep": _deep(DEPTH_MAX - 3),
    "wide": _wide(),
    "other": _wide(),
    "map": {f"key {n}": n for n in range(5_000)},
    "zone": "Nowhere/" + "x" * 50,
    "pattern": "((a{0,50}){0,20}){0,1}b",
    "letters": r"(\pL{20}){20}b",
    "one": 1,
}
VARIABLES = {"event": {"data": DATA}}
NOW_MS = 1_700_000_000_000

fields = st.sampled_from([f"event.data.{name}" for name in DATA] + ["event.data.none"])
literals = st.sampled_from(["1", "-1.5", "'a'", "'%'", "true", "null", "'Europe/Berlin'", "'5m'"])
unary = st.sampled_from(
    [
        *("size({0})", "lowercase({0})", "{0}.uppercase()", "b64decode({0})", "json_parse({0})"),
        *("int({0})", "double({0})", "string({0})", "bytes({0})", "string(bytes({0}))"),
        *("duration({0})", "date({0})", "now_plus({0})", "type({0})", "!{0}", "-{0}", "bool({0})"),
        *("date('2026-01-01').getHours({0})", "has(event.data.one)", "[{0}, {0}]", "{{'a': {0}}}"),
    ]
)
BINARY = (
    *("{0} == {1}", "{0} != {1}", "{0} < {1}", "{0} >= {1}", "{0} in {1}", "{0} in [{1}, {0}]"),
    *("{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / {1}", "{0} % {1}", "{0}[{1}]"),
    *("{0}.contains({1})", "{0}.startsWith({1})", "{0}.endsWith({1})", "{0}.matches({1})"),
    *("({0} || {1})", "({0} && {1})", "({0} ? {1} : {0})", "[{0}] == [{1}]"),
)
binary = st.sampled_from(BINARY)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(lambda form, one: f"({form.format(one)})", unary, inner),
        st.builds(lambda form, one, two: f"({form.format(one, two)})", binary, inner, inner),
        st.builds(
            lambda macro, over, body: f"event.data.{over}.{macro}(x, {body})",
            st.sampled_from(["exists", "all", "map", "filter", "exists_one"]),
            st.sampled_from(["many", "words", "lists", "dates", "map"]),
            inner,
        ),
    )


# `x` is missing outside of a macro, and so refused: it is put in the place of a field there.
expressions = st.recursive(st.one_of(fields, literals, st.just("x")), _grown, max_leaves=6)
over_and_over = st.builds(
    # What fails or is false is asked for again, for each of ten thousand items.
    "event.data.many.exists(x, ({} || false) && false)".format,
    expressions,
)


def seconds(source: str) -> tuple[float, int]:
    """How long a judgement takes, at best of two, and its steps."""
    program = compile_expression(source)
    taken: list[float] = []
    steps = 0
    for _ in range(2):
        began = thread_time()
        steps = program.judge(VARIABLES, NOW_MS).steps
        taken.append(thread_time() - began)
        if taken[-1] < SECONDS_MAX:
            break
    return min(taken), steps


@settings(max_examples=30)
@given(over_and_over)
@example("event.data.many.exists(x, (now_plus(event.data.dates) || false) && false)")
@example(
    "event.data.many.exists(x, (date('2026-01-01').getHours(event.data.wide) || false) && false)"
)
@example("event.data.many.exists(x, event.data.part.matches(event.data.pattern) && false)")
@example("event.data.many.exists(x, event.data.naive.contains(event.data.part))")
@example("event.data.many.exists(x, event.data.long == event.data.equal)")
@example("event.data.many.exists(x, string(event.data.whole) == 'a')")
@example("'a'.matches(event.data.letters)")
def test_no_expression_takes_long(source: str) -> None:
    took, steps = seconds(source)
    assert took < SECONDS_MAX, f"{took * 1000:.0f} ms for {steps} steps"
