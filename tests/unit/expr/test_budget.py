"""What a sender chooses never makes an evaluation long."""

import pytest

from stepwell.expr.budget import STEPS_MAX, depth_of
from stepwell.expr.dialect import EvaluationError, compile_expression

MANY = 10_000
NESTED: list[object] = [[[] for _ in range(400)] for _ in range(400)]
DATA = {
    "a": list(range(MANY)),
    "b": [-1] * MANY,
    "text": "x" * 1_000_000,
    "texts": ["x" * 1_000] * 1_000,
    "nested": NESTED,
    "same": [[[] for _ in range(400)] for _ in range(400)],
    "json": "[" + "[]," * 1_000_000 + "[]]",
}
VARIABLES = {"event": {"data": DATA}}


@pytest.mark.parametrize(
    "source",
    [
        "event.data.a.exists(x, x in event.data.b)",
        "event.data.a.exists(x, event.data.b.exists(y, x == y))",
        "event.data.a.map(x, x).map(y, event.data.a + event.data.b).size() == 1",
        "event.data.nested == event.data.same",
        "event.data.nested in event.data.a || [event.data.nested] != [event.data.same]",
        "[1, event.data.nested] in [event.data.a, event.data.same, [1, event.data.same]]",
        "event.data.texts.exists(x, x.matches('(a|b)+$'))",
        "event.data.a.exists(x, event.data.text.contains('y'))",
        "event.data.a.exists(x, event.data.text.lowercase() == 'y')",
        "event.data.a.exists(x, event.data.text + 'y' == 'y')",
        "json_parse(event.data.json).size() == 1",
    ],
)
def test_too_much_work_is_a_no_with_a_reason(source: str) -> None:
    judged = compile_expression(source).judge(VARIABLES)
    assert not judged.holds
    assert f"more than {STEPS_MAX} steps" in judged.problem
    assert judged.steps >= STEPS_MAX


def test_a_result_that_is_too_large_is_no_key() -> None:
    with pytest.raises(EvaluationError, match="more than"):
        compile_expression("event.data.nested").evaluate(VARIABLES)


@pytest.mark.parametrize(
    "source",
    [
        "event.data.a.exists(x, x == 9999)",
        "event.data.a.filter(x, x > 3).size() == 9996",
        "event.data.a.map(x, x + 1)[9999] == 10000",
        "event.data.text.matches('x$')",
        "9999 in event.data.a",
    ],
)
def test_one_pass_over_ten_thousand_items_is_not_too_much(source: str) -> None:
    judged = compile_expression(source).judge(VARIABLES)
    assert judged.holds
    assert judged.problem == ""


def test_what_a_macro_gathers_is_new_each_time() -> None:
    program = compile_expression("event.data.map(x, [x].map(y, y))")
    first = program.evaluate({"event": {"data": [1, 2]}})
    assert first == program.evaluate({"event": {"data": [1, 2]}}) == [[1], [2]]


@pytest.mark.parametrize(
    ("value", "size"), [(1, 1), ([], 1), ([1, {"a": 2}], 4), ({"a": [1, 2]}, 4), ("long", 1)]
)
def test_sizes(value: object, size: int) -> None:
    assert depth_of(value, 100) == size
