"""What a sender chooses never makes an evaluation long."""

from time import thread_time

import pytest

from stepwell.expr.budget import STEPS_MAX, depth_of, pattern_size
from stepwell.expr.dialect import EvaluationError, ExpressionError, compile_expression
from stepwell.expr.tree import WORDS_MAX

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


@pytest.mark.parametrize(
    "source",
    [
        "event.data.a.exists(x, x in event.data.b) || true",
        "!(event.data.a.exists(x, x in event.data.b) && false)",
        "event.data.a.all(x, (event.data.nested == event.data.same) || true)",
    ],
)
def test_no_other_side_makes_up_for_too_much_work(source: str) -> None:
    judged = compile_expression(source).judge(VARIABLES)
    assert not judged.holds
    assert f"more than {STEPS_MAX} steps" in judged.problem


def test_an_expression_itself_takes_steps() -> None:
    short, long = compile_expression("true"), compile_expression(" || ".join(["false"] * 99))
    assert short.judge({}).steps == 1
    assert long.judge({}).steps == 2 * 99 - 1


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
    ("value", "size"),
    [
        (1, 1),
        ([], 1),
        ([1, {"a": 2}], 5),
        ({"a": [1, 2]}, 5),
        ("short", 1),
        (["x" * 10_000], 6),
        ({"x" * 10_000: 1}, 7),
    ],
)
def test_sizes(value: object, size: int) -> None:
    assert depth_of(value, 100) == size


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        ("abc", 3, 5),
        (r"\d{4}-\d{2}-\d{2}", 9, 15),
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}", 24, 60),
        ("((a{0,50}){0,20}){0,1}b", 1_000, 1_200),
        ("((a{1000}){1000}){1000}", STEPS_MAX, 2 * STEPS_MAX),
        ("(" * 500 + ")" * 500 + "{7}", 1, 2_000),
        ("{3}a{", 1, 10),
        ("x" * 3_000, STEPS_MAX, STEPS_MAX),
    ],
)
def test_a_pattern_is_as_large_as_what_it_repeats(pattern: str, least: int, most: int) -> None:
    assert least <= pattern_size(pattern) <= most


def test_a_pattern_that_a_sender_chose_takes_no_seconds() -> None:
    """Few steps were counted for it, and it took two seconds."""
    program = compile_expression("event.data.text.matches(event.data.pattern)")
    data = {"text": "a" * 100_000, "pattern": "((a{0,50}){0,20}){0,1}b"}
    judged = program.judge({"event": {"data": data}})
    assert "steps" in judged.problem
    uuid = {"text": "f" * 36, "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|f+"}
    assert program.holds({"event": {"data": uuid}})
    long = {"text": "ab " * 60_000, "pattern": "ab +[ab]"}
    assert program.holds({"event": {"data": long}})


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        (f"event.data.n in [{', '.join(['1'] * 2_400)}]", True),
        (f"event.data.n in [{', '.join(['1'] * 2_600)}]", False),
        (f"event.data.n == '{'a, ' * 10_000}'", True),
        (f"event.data.n == r'\\' || [{', '.join(['1'] * 2_600)}] == '\\''", False),
        (f"// '\n event.data.n in [{', '.join(['1'] * 2_600)}] // '", False),
        (f"// '''\n event.data.n in [{', '.join(['1'] * 2_600)}] // '''", False),
        (f"event.data.n == '''{'a, ' * 10_000}'''", True),
    ],
)
def test_an_expression_has_so_many_words(source: str, fits: bool) -> None:
    if fits:
        assert not compile_expression(source).holds({"event": {"data": {"n": 2}}})
        return
    with pytest.raises(ExpressionError, match=f"over {WORDS_MAX} words and signs"):
        compile_expression(source)


def test_the_words_of_an_unfinished_text_are_counted_in_one_pass() -> None:
    began = thread_time()
    with pytest.raises(ExpressionError):
        compile_expression("'''" + "\\\\" * 20_000 + '"' + "\\" * 20_001)
    assert thread_time() - began < 1


def test_a_long_list_of_an_event_is_put_into_a_condition_as_one_text() -> None:
    program = compile_expression("async.data.id in event.data.ids")
    ids = [f"order {n}" for n in range(3_000)]
    condition = program.interpolate({"data": {"ids": ids}})
    assert condition.startswith("async.data.id in json_parse(")
    assert compile_expression(condition).holds({"async": {"data": {"id": "order 2999"}}})
    assert not compile_expression(condition).holds({"async": {"data": {"id": "order 3000"}}})
