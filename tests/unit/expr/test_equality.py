"""Waits: an event's values put into an expression change nothing, and the index misses no match."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.expr.dialect import compile_expression
from stepwell.expr.equality import first_equality, values_at

EVENT = {
    "name": "a",
    "ts": 5,
    "data": {
        "n": 1,
        "neg": -2,
        "big": 1e300,
        "s": 'it\'s "quoted"\\ é\u2028\n\x7f🦀',
        "yes": True,
        "nil": None,
        "list": [1, "a", None],
        "deep": {"list": [[1], {"a": 2}]},
        "a-b": 7,
        "items": [{"sku": "x"}],
    },
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.data.n == async.data.n", "1.0 == async.data.n"),
        ("async.data.n==event.data.n", "async.data.n==1.0"),
        ("event.data.neg == async.data.n", "(-2.0) == async.data.n"),
        ("async.data.n -event.data.neg", "async.data.n -(-2.0)"),
        ("event.data.yes && event.data.nil == null", "true && null == null"),
        ("event.data.missing == async.data.n", "event.data.missing == async.data.n"),
        ("event.data.list.exists(i, i == async.x)", '([1.0, "a", null]).exists(i, i == async.x)'),
        ("event . data . n == 1", "1.0 == 1"),
        ('event["data"]["n"] == 1', "1.0 == 1"),
        ("event['data'].list[0] == 1", "1.0 == 1"),
        ("event.data[ r'n' ] == 1", "1.0 == 1"),
        ("event.data.`a-b` == 1", "7.0 == 1"),
        ("event. // where\n data.n == 1", "1.0 == 1"),
        ("event.data.list[async.i] == 1", '([1.0, "a", null])[async.i] == 1'),
        ("event.name.contains(async.x)", '("a").contains(async.x)'),
        ("'event.data.n' == async.x", "'event.data.n' == async.x"),
        ("'é🦀' == event.name", "'é🦀' == \"a\""),
        (
            "'é🦀' == event.name && async.data.event == event.name",
            '\'é🦀\' == "a" && async.data.event == "a"',
        ),
        ("[1].exists(event, event == 1)", "[1].exists(event, event == 1)"),
        ("event.data.items.exists(event, event.sku == async.x)", None),
        ("event.data.deep.list[1].a == async.x", "2.0 == async.x"),
        ("event.data.big == async.x", "1e+300 == async.x"),
        ("has(event.data.n) && async.data.n == 1", None),
        (
            "event.data.deep == async.x",
            'json_parse("{\\"list\\": [[1], {\\"a\\": 2}]}") == async.x',
        ),
        ("event == async", None),
        ("true", "true"),
    ],
)
def test_interpolation(source: str, expected: str | None) -> None:
    written = compile_expression(source).interpolate(EVENT)
    assert expected in (None, written)
    compile_expression(written)


@pytest.mark.parametrize("source", ["event.data.s == async.x", "async.x == event.data.s + ''"])
def test_any_text_survives(source: str) -> None:
    condition = compile_expression(compile_expression(source).interpolate(EVENT))
    assert "event" not in condition.roots
    assert condition.holds({"async": {"x": EVENT["data"]["s"]}})


@given(st.text(st.characters(codec="utf-8")))
def test_every_text_survives(text: str) -> None:
    event = {"name": text, "data": {"deep": [[text]]}}
    source = "event.name == async.x && event.data.deep[0] == [async.x]"
    written = compile_expression(source).interpolate(event)
    assert compile_expression(written).holds({"async": {"x": text}})
    assert first_equality(written) is not None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("async.data.n == 1", ('["data","n"]', "1.0")),
        ("1 == async.data.n", ('["data","n"]', "1.0")),
        ("async.data.n == -1", ('["data","n"]', "-1.0")),
        ("async.data.n == -0.0", ('["data","n"]', "0.0")),
        ("async.data.s == 'x'", ('["data","s"]', '"x')),
        ("async.data['a.b'][0] == 'x'", ('["data","a.b",0]', '"x')),
        ("async.data.yes == true", ('["data","yes"]', "true")),
        ("async.data.nil == null", ('["data","nil"]', "null")),
        ("async.name == 'x' && async.data.n > 1", ('["name"]', '"x')),
        ("async.a == true && async.b == 1 && async.c == 'x'", ('["c"]', '"x')),
        ("async.a > 1 && (async.b == 1 && async.c < 2)", ('["b"]', "1.0")),
        ("async.a == 1 || async.b == 1", None),
        ("!(async.a == 1)", None),
        ("async.a != 1", None),
        ("async.a == async.b", None),
        ("async.a == [1]", None),
        ("async.a == b'x'", None),
        ("async.a == event.data.missing", None),
        ("async == 'x'", None),
        ("[1].exists(async, async.x == 1)", None),
        ("'x' == event.a", None),
        ("async.a == 1.5 ? true : true", None),
        ("no expression", None),
        ("", None),
    ],
)
def test_first_equality(condition: str, expected: tuple[str, str] | None) -> None:
    assert first_equality(condition) == expected


def test_long_values_are_hashed() -> None:
    found = first_equality(f"async.a == '{'x' * 1000}'")
    assert found is not None
    assert len(found[1]) < 100
    path, value = found
    assert values_at(json.dumps({"a": "x" * 1000}).encode(), frozenset({path})) == {path: value}
    assert values_at(json.dumps({"a": "x" * 999}).encode(), frozenset({path}))[path] != value


def test_values_at() -> None:
    event = json.dumps(EVENT).encode()
    paths = {
        '["data","n"]': "1.0",
        '["data","list",1]': '"a',
        '["data","nil"]': "null",
        '["data","missing"]': "null",
        '["data","n","deeper"]': "null",
        '["data","yes"]': "true",
    }
    containers = {'["data","list"]', '["data"]'}
    assert values_at(event, frozenset(paths) | containers) == paths
    assert values_at(b"no json", frozenset()) == {}


KEYS = ["a", "b"]
SCALARS = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        1.0,
        -1,
        2**53,
        2**53 + 1,
        2**64,
        10**400,
        0.5,
        "",
        "a",
        "1",
        "true",
        "null",
    ]
)
DATA = st.dictionaries(
    st.sampled_from(KEYS),
    SCALARS | st.lists(SCALARS, max_size=2) | st.fixed_dictionaries({"a": SCALARS}),
)
WAYS = [
    f"{root}.{key}{more}"
    for root in ("event", "async")
    for key in KEYS
    for more in ("", ".a", "[0]")
]
LITERALS = ["1", "1.0", "-1", "0.5", "true", "null", "''", "'a'", "'1'", "[1]", "{'a': 1}"]
SIDES = st.sampled_from(WAYS + LITERALS)
COMPARISONS = st.builds(
    "{} {} {}".format, SIDES, st.sampled_from(["==", "==", "==", "!=", "<", ">=", "in"]), SIDES
)
CONDITIONS = st.recursive(
    COMPARISONS | SIDES | st.sampled_from(["has(event.a)", "has(async.b.a)"]),
    lambda inner: (
        st.builds("({} && {})".format, inner, inner)
        | st.builds("({} || {})".format, inner, inner)
        | st.builds("!({})".format, inner)
        | st.builds("[1, 'a'].exists(i, i == async.a && {})".format, inner)
        | st.builds("event.a.exists(event, {})".format, inner)
    ),
    max_leaves=5,
)


@given(CONDITIONS, DATA, DATA)
def test_bound_conditions_mean_the_same(source: str, event: object, other: object) -> None:
    program = compile_expression(source)
    bound = compile_expression(program.interpolate(event))
    assert bound.holds({"async": other}) == program.holds({"event": event, "async": other})


# Conditions as people write them, and events that often satisfy them.
CONJUNCTS = st.builds(
    "{} == {}".format,
    st.sampled_from([way for way in WAYS if way.startswith("async")]),
    st.sampled_from([way for way in WAYS if way.startswith("event")] + LITERALS),
)
JOINED = st.lists(CONJUNCTS | CONDITIONS, min_size=1, max_size=2).map(" && ".join)


def misses(source: str, event: object, other: object) -> bool:
    """Whether the index would not find a wait whose condition holds."""
    condition = compile_expression(source).interpolate(event)
    found = first_equality(condition)
    if found is None or not compile_expression(condition).holds({"async": other}):
        return False
    path, value = found
    return values_at(json.dumps(other).encode(), frozenset({path})) != {path: value}


@given(JOINED, DATA, DATA)
def test_the_index_misses_no_match(source: str, event: object, other: object) -> None:
    assert not misses(source, event, other)
    assert not misses(source, event, event)


@given(CONJUNCTS, SCALARS)
def test_equalities_are_found_and_met(conjunct: str, value: object) -> None:
    """With the same scalar everywhere, an equality of two ways holds through the index."""
    event = {"a": {"a": value}, "b": [value]}
    assert not misses(conjunct, event, event)
    source = "async.a.a == event.b[0]"
    condition = compile_expression(source).interpolate(event)
    found = first_equality(condition)
    assert found is not None
    assert compile_expression(condition).holds({"async": event})
    assert values_at(json.dumps(event).encode(), frozenset({found[0]})) == {found[0]: found[1]}
