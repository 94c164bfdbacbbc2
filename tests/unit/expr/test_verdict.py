"""What is said of expressions before any event came; and that it is never said wrongly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.expr.dialect import compile_expression
from stepwell.expr.verdict import kind_of, never_true

TRIGGER = {"event.name": "shop/paid", "async": None, "vars": None}


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("event.data.x", None),
        ("event.data.x == 1", "bool"),
        ("!event.data.x", "bool"),
        ("has(event.data.x)", "bool"),
        ("event.data.x in [1]", "bool"),
        ("event.data.items.exists(i, i > 1)", "bool"),
        ("event.data.items.map(i, i.n)", "list"),
        ("event.data.name.startsWith('a')", "bool"),
        ("event.data.x && event.data.y", None),
        ("event.data.x > 1 && event.data.y > 1", "bool"),
        ("event.data.x ? 1 : 2", "int"),
        ("event.data.x ? 1 : 'a'", None),
        ("'high'", "string"),
        ("1 + 1", "number"),
        ("event.data.x + 1", "number or text"),
        ("event.data.x + 'a'", "string"),
        ("event.data.x + event.data.y", None),
        ("event.data.x * 2", "number"),
        ("size(event.data.x)", "int"),
        ("[1]", "list"),
        ("{'a': 1}", "map"),
        ("lowercase(event.data.x)", "string"),
    ],
)
def test_kinds(source: str, kind: str | None) -> None:
    assert kind_of(compile_expression(source)) == kind


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("'yes'", "gives a string, never true or false"),
        ("1 + 1", "gives a number"),
        ("event.data.x ? 'a' : 'b'", "gives a string"),
        ("false", "is false for every event"),
        ("1 == 2", "is false for every event"),
        ("event.data.x == 1 && false", "is false for every event"),
        ("event.name == 'shop/made'", "can never be true: event.name is 'shop/paid'"),
        ("event.name == 'a' || event.name == 'b'", "event.name is 'shop/paid'"),
        ("event.name.startsWith('user/') && event.data.x", "event.name is 'shop/paid'"),
        ("async.data.x == 1", "can never be true: async is not known here"),
        ("event.data.x == 1 && event.data.x == 2", "event.data.x would be 1 and 2 at once"),
        ("'a' == event.data.x && event.data.x == 'b'", "event.data.x would be 'a' and 'b' at once"),
        ("event.data.x > 1 ? false : 1 > 2", "is false for every event"),
        ("bool('maybe')", "cannot be evaluated"),
    ],
)
def test_what_is_never_true(source: str, why: str) -> None:
    told = never_true(compile_expression(source), TRIGGER)
    assert told is not None
    assert why in told


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "event.data.x",
        "event.name == 'shop/paid'",
        "event.name == 'a' || event.data.x",
        "event.data.x == 1 || event.data.x == 2",
        "event.data.x == 1 && event.data.y == 2",
        "event.data.x == 1 && event.data.x == 1.0",
        "'text' && event.data.x",
        "async.data.x == null",
        "async.data.x != 1",
        "event.ts > 5",
        "date(event.ts) < now()",
        "event.data.x ? false : true",
        "event.data['x'] == 1",
    ],
)
def test_what_may_be_true_is_left_alone(source: str) -> None:
    assert never_true(compile_expression(source), TRIGGER) is None


PLACES = ["event.data.a", "event.data.b", "event.name", "async.data.a"]
LEAVES = st.sampled_from([*PLACES, "true", "false", "null", "1", "2", "'x'"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["&&", "||", "==", "!="]), inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["<", ">=", "+"]), inner),
        st.builds("!({})".format, inner),
        st.builds("({}) ? ({}) : ({})".format, inner, inner, inner),
    ),
    max_leaves=6,
)
VALUES = st.sampled_from([None, True, False, 1, 2, "x", "shop/paid"])


@given(EXPRESSIONS, st.dictionaries(st.sampled_from(["a", "b"]), VALUES))
def test_an_expression_that_holds_is_never_said_to_be_never_true(
    source: str, data: dict[str, object]
) -> None:
    program = compile_expression(source)
    if program.holds({"event": {"name": "shop/paid", "data": data}}, 0):
        assert never_true(program, TRIGGER) is None
