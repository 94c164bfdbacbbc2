"""The dialect: its table of truth, its functions, and what it refuses."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.expr.dialect import (
    EvaluationError,
    ExpressionError,
    Program,
    compile_expression,
)

EVENT = {
    "name": "shop/order",
    "id": "01A",
    "ts": 1_795_381_027_215,
    "user": {},
    "data": {
        "n": 5,
        "x": 2,
        "zero": 0,
        "half": 0.5,
        "s": "abc",
        "empty": "",
        "yes": True,
        "no": False,
        "nil": None,
        "list": [1, 2, 3],
        "map": {"a": 1},
        "items": [{"sku": "a", "q": 1}, {"sku": "b", "q": 5}],
        "key-with-dash": 7,
        "at": "2026-11-22T20:57:07Z",
        "numeric": "12",
    },
}
VARIABLES = {"event": EVENT}
NOW = 1_795_381_027_215


def value(source: str) -> object:
    return compile_expression(source).evaluate(VARIABLES, NOW)


def holds(source: str) -> bool:
    return compile_expression(source).holds(VARIABLES, NOW)


# x is there, m is not. The table of the protocol, row by row.
TABLE = [
    ("m == null", True),
    ("null == m", True),
    ("m != null", False),
    ("null != m", False),
    ("m == x", False),
    ("x == m", False),
    ("m != x", True),
    ("x != m", True),
    ("m == m", False),
    ("m < x", True),
    ("m <= x", True),
    ("m > x", False),
    ("m >= x", False),
    ("x > m", True),
    ("x >= m", True),
    ("x < m", False),
    ("x <= m", False),
    ("m", False),
    ("m && true", False),
    ("true && m", False),
    ("m || false", False),
    ("m || true", True),
    ("m || x", 2.0),
    ("!m", True),
    ("size(m)", 0),
    ("m.size()", 0),
    ('m.contains("a")', False),
    ('m.startsWith("a")', False),
    ('m.matches("a")', False),
    ("lowercase(m)", False),
    ("int(m)", False),
    ("m in [1]", False),
    ("1 in m", False),
    ("m - 1", False),
    ("-m", False),
    ("m + x", 2.0),
    ("x + m", 2.0),
    ('m + "a"', "a"),
    ("m + m", False),
    ("m.deeper.still", False),
    ('m["a"]', False),
    ("m[0]", False),
    ("has(m.a)", False),
    ("m ? 1 : 2", 2),
    ("m.exists(i, true)", False),
    ("m.all(i, true)", False),
    ("m.map(i, i)", False),
    ("[m]", [None]),
    ('{"a": m}', {"a": None}),
    ("event.data.n.deeper == null", True),
]


@pytest.mark.parametrize(("source", "expected"), TABLE)
def test_missing_values(source: str, expected: object) -> None:
    for missing in ("event.data.missing", "event.nothing.at.all", "vars.x", "async"):
        written = "".join(
            {"m": missing, "x": "event.data.x"}.get(word, word) for word in words(source)
        )
        result = value(written)
        assert result == expected
        assert isinstance(result, bool) == isinstance(expected, bool)


def words(source: str) -> list[str]:
    """The source cut into single letters that stand alone, and the rest."""
    pieces, word = [], ""
    for letter in source:
        if letter.isalnum() or letter == "_":
            word += letter
        else:
            pieces += [word, letter]
            word = ""
    return [*pieces, word]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"a" + 1', "a1"),
        ('1 + "a"', "1a"),
        ('"a" + event.data.n', "a5"),
        ('"a" + event.data.half', "a0.5"),
        ('"a" + true', "atrue"),
        ('"a" + null', "a"),
        ("null + 1", 1),
        ("1 == 1.0", True),
        ("event.data.n == 5", True),
        ("event.data.n != 5", False),
        ('"1" == 1', False),
        ('"1" != 1', True),
        ("true == 1", False),
        ("null == 0", False),
        ('null == ""', False),
        ("null != 0", True),
        ("event.data.nil == null", True),
        ("null < 1", True),
        ("null < 0", False),
        ("null <= 0", True),
        ("null > -1", True),
        ('null < "a"', True),
        ('"a" > null', True),
        ("null < null", False),
        ("null <= null", True),
        ("false < true", True),
        ("null < true", True),
        ('"a" < "b"', True),
        ('"10" < 9', False),
        ("event.data.numeric > 9", True),
        ('"abc" < 9', False),
        ('"abc" > 9', False),
        ("true < 5", False),
        ("1 < 1.5", True),
        ("5 || false", 5),
        ('"" || "b"', "b"),
        ('"a" || "b"', "a"),
        ('"a" && "b"', "b"),
        ('"" && "b"', ""),
        ("0 && true", 0),
        ("null || 5", 5),
        ("[] || 5", []),
        ('!""', True),
        ('!"a"', False),
        ("!0", True),
        ("event.data.n ? 1 : 2", 1),
        ("event.data.empty ? 1 : 2", 2),
        ("event.data.nil ? 1 : 2", 2),
        ("event.data.list ? 1 : 2", 1),
        ("[1, 2] == [1.0, 2.0]", True),
        ("[1] == [1, 2]", False),
        ('{"a": 1} == {"a": 1.0}', True),
        ('{"a": 1} == {"b": 1}', False),
        ('event.data.map == {"a": 1}', True),
        ("[1] + [2]", [1, 2]),
        ("type(event.data.n) == double", True),
        ("type(1) == int", True),
        ('type("a") == string', True),
        ('type("a") == "string"', False),
        ("type(event.data.nil) == null_type", True),
        ("type(event.data.list) == list", True),
    ],
)
def test_mixed_types(source: str, expected: object) -> None:
    result = value(source)
    assert result == expected
    assert isinstance(result, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 % -2", 1),
        ("-7 % 2", -1),
        ("event.data.n / 2", 2.5),
        ("event.data.n % 2", 1.0),
        ("1.0 / 0", float("inf")),
        ("-1.0 / 0", float("-inf")),
        ("2 * 3 + 4 - 1", 9),
        ("-event.data.n", -5.0),
        ("1u + 2u", 3),
        ("0x10", 16),
        ("1e3", 1000.0),
        ("event.data.list[0]", 1.0),
        ("event.data.list[5]", False),
        ("event.data.list[-1]", False),
        ('event.data["n"]', 5.0),
        ('event.data["key-with-dash"]', 7.0),
        ("event.data.`key-with-dash`", 7.0),
        ("2 in event.data.list", True),
        ("9 in event.data.list", False),
        ('"a" in event.data.map', True),
        ('"b" in event.data.map', False),
        ("has(event.data.nil)", True),
        ("has(event.data.nothing)", False),
        ("event.data.items.exists(i, i.q > 4)", True),
        ("event.data.items.all(i, i.q > 4)", False),
        ("event.data.items.exists_one(i, i.q > 4)", True),
        ("event.data.items.map(i, i.sku)", ["a", "b"]),
        ("event.data.items.filter(i, i.q > 4).size()", 1),
        ("event.data.items.map(i, i.q > 4, i.sku)", ["b"]),
        ("event.data.items.exists(i, i.missing == null)", True),
        ("event.data.map.exists(k, k == 'a')", True),
        ("[].all(i, false)", True),
        ("[1, 2].map(i, [3].map(j, i + j))", [[4], [5]]),
        ("[1, 2].exists(event, event == 2)", True),
        ("size(event.data.list)", 3),
        ("size('é🦀')", 2),
        ("event.data.s.size()", 3),
        ('event.data.s.contains("b")', True),
        ('event.data.s.startsWith("a")', True),
        ('event.data.s.endsWith("a")', False),
        ('event.data.s.matches("^a.c$")', True),
        ('matches(event.data.s, "b")', True),
        ('lowercase("ÄB")', "äb"),
        ("uppercase(event.data.s)", "ABC"),
        ("event.data.s.uppercase()", "ABC"),
        ("b64decode('aGk=')", "hi"),
        ("b64decode('aGk')", "hi"),
        ("json_parse('{\"a\": [1]}').a[0]", 1.0),
        ("json_parse('5')", 5.0),
        ("json_parse('9007199254740993') == json_parse('9007199254740992')", False),
        ("'id-' + json_parse('175928847299117063')", "id-175928847299117063"),
        ("json_parse('-9007199254740993') < -9007199254740992", True),
        ("json_parse('9007199254740993') * 2 / 2", 9007199254740992.0),
        ("-json_parse('9223372036854775808')", -9223372036854775808),
        ("type(json_parse('9223372036854775808')) == double", True),
        ("int('5')", 5),
        ("int(5.9)", 5),
        ("int(-5.9)", -5),
        ("int(event.data.n)", 5),
        ("uint(5)", 5),
        ("double('1.5')", 1.5),
        ("double(1)", 1.0),
        ("string(5)", "5"),
        ("string(event.data.n)", "5"),
        ("string(true)", "true"),
        ("string(b'hi')", "hi"),
        ("bool('true')", True),
        ("bool('false')", False),
        ("bytes('hi')", "aGk="),
        ("dyn(5)", 5),
        ("r'a\\b'", "a\\b"),
        ("'\\u00e9'", "é"),
        ("event.data.plan == 'pro' ? 180 : 0", 0),
        ("true ? 180 : 0", 180),
    ],
)
def test_values(source: str, expected: object) -> None:
    result = value(source)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("now() == timestamp('2026-11-22T20:57:07.215Z')", True),
        ("now()", "2026-11-22T20:57:07.215000Z"),
        ("now_plus(duration('1h')) > now()", True),
        ("now_plus('1h') - now() == duration('3600s')", True),
        ("now_minus('90m').getHours()", 19),
        ("date(event.data.at) < now()", True),
        ("event.data.at < now()", True),
        ("event.ts == now()", True),
        ("date(event.ts) == now()", True),
        ("date(1795381027) < now()", True),
        ("timestamp('2026-11-22') + duration('1h30m')", "2026-11-22T01:30:00Z"),
        ("duration('1h30m') + timestamp('2026-11-22')", "2026-11-22T01:30:00Z"),
        ("timestamp('2026-11-22') - duration('1h')", "2026-11-21T23:00:00Z"),
        ("duration('1h') + duration('-30m')", "1800s"),
        ("-duration('1h')", "-3600s"),
        ("duration('1h') > duration('59m')", True),
        ("null < duration('1s')", True),
        ("null < now()", True),
        ("now() == null", False),
        ("duration('90m').getHours()", 1),
        ("duration('90m').getMinutes()", 90),
        ("duration('1.5s').getMilliseconds()", 1500),
        ("now().getFullYear()", 2026),
        ("now().getMonth()", 10),
        ("now().getDate()", 22),
        ("now().getDayOfMonth()", 21),
        ("now().getDayOfWeek()", 0),
        ("now().getDayOfYear()", 325),
        ("now().getHours()", 20),
        ("now().getHours('Europe/Paris')", 21),
        ("now().getMinutes()", 57),
        ("now().getSeconds()", 7),
        ("now().getMilliseconds()", 215),
        ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
        ("string(duration('1.5s'))", "1.5s"),
        ("type(now()) == type(timestamp('2026-11-22'))", True),
        ("now_plus(event.data.missing)", False),
    ],
)
def test_dates(source: str, expected: object) -> None:
    assert value(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        *("1 / 0", "1 % 0", "1.5 % 1", "'a' * 2", "'a' - 'b'", "true + true", "true + 1", "-'a'"),
        *("9223372036854775807 + 1", "-9223372036854775808 - 1", "4611686018427387904 * 4"),
        *("[1] < [2]", "{} < 1", "1 in 5", "size(5)", "5.contains('a')", "'a'.contains(5)"),
        *("null.contains('a')", "'a'.matches('(')", "int('x')", "int(1e30)", "double('x')"),
        *("int('99999999999999999999')", "int([])", "double([])", "string([])", "bool('x')"),
        *("bytes(5)", "duration('x')", "duration('1d1')", "duration(5)", "date('soon')"),
        *("date([])", "date(null)", "date(1e300)", "b64decode('*')", "json_parse('{')"),
        *("lowercase(5)", "now().getHours('Nowhere/None')", "now().getHours('../x')"),
        *("'a'.getHours()", "duration('1s').getFullYear()", "5.exists(i, true)"),
        *("{[1]: 2}", "{null: 2}", "duration('999999999999h')", "now() + duration('90000000h')"),
        *("'a' + [1]", "1 / 0 || false", "1 / 0 && true", "false || 1 / 0", "now() + 1"),
    ],
)
def test_errors_of_evaluation(source: str) -> None:
    assert not holds(source)
    with pytest.raises(EvaluationError):
        value(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 / 0 == 1 || true", True),
        ("true || 1 / 0 == 1", True),
        ("1 / 0 == 1 && false", False),
        ("false && 1 / 0 == 1", False),
        ("[1, 0].exists(i, 1 / i == 1)", True),
    ],
)
def test_one_side_may_decide_whatever_happens_to_the_other(source: str, expected: bool) -> None:
    assert value(source) is expected


@pytest.mark.parametrize(
    "source", ["1", "'a'", "event.data.n", "event.data", "null", "'a' || true"]
)
def test_only_true_holds(source: str) -> None:
    assert not holds(source)


def test_the_present_must_be_given() -> None:
    program = compile_expression("now() > date('2020-01-01')")
    assert program.holds({}, NOW)
    assert not program.holds({})
    with pytest.raises(EvaluationError, match="no meaning"):
        program.evaluate({})


@pytest.mark.parametrize(
    ("source", "words_"),
    [
        ("", "Syntax error"),
        ("event.data. == 1", "Syntax error"),
        ("event.data == ", "Syntax error"),
        ("'open", "Syntax error"),
        ("has(event)", "has() argument must be a field selection"),
        ("foo.bar == 1", "undeclared reference to 'foo': use event, async or vars"),
        (".event.data", "undeclared reference to '.event'"),
        ("event.data.x.lower()", "there is no method lower"),
        ("lower(event.data.x)", "there is no function lower"),
        ("contains(event.data.x, 'a')", "there is no function contains"),
        ("'a'.contains()", "contains does not take 0 arguments"),
        ("size(1, 2)", "size does not take 2 arguments"),
        ("now(1)", "now does not take 1 arguments"),
        ("Message{a: 1}", "there are no messages such as Message"),
        ("(" * 300 + "1" + ")" * 300, "nested too deeply"),
        ("x" * 100_001, "over 100000 characters"),
        ("event.data.items.exists(1, true)", "must be a simple identifier"),
    ],
)
def test_what_is_refused(source: str, words_: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    assert words_ in str(caught.value)


def test_syntax_errors_say_where() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("event.data.a == 1 &&\n  event. == 2")
    assert (caught.value.line, caught.value.column) == (2, 10)
    assert "(line 2, column 10)" in str(caught.value)


def test_work_is_bounded() -> None:
    program = compile_expression("event.l.all(a, event.l.all(b, event.l.all(c, true)))")
    with pytest.raises(EvaluationError, match="takes more than"):
        program.evaluate({"event": {"l": [0] * 100}})


def test_values_may_be_deep() -> None:
    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(EvaluationError, match=r"too deep|more than"):
        compile_expression("event.a == event.b").evaluate({"event": {"a": deep, "b": [deep[0]]}})


def test_what_a_program_tells_of_itself() -> None:
    program = compile_expression("event.data.a == async.data.b && now() > date(event.data.c)")
    assert program.source.startswith("event.data.a")
    assert program.roots == {"event", "async"}
    assert program.calls == {"now", "date"}
    assert compile_expression("[1].exists(i, i == 1)").calls == {"macro"}
    assert compile_expression("has(event.a) && -1 < 2 && 1 in [1]").calls == set()
    assert compile_expression("1") == compile_expression("1")
    assert hash(compile_expression("1")) == hash(compile_expression("1"))
    assert repr(compile_expression("1")) == "Program('1')"
    assert compile_expression("1") is compile_expression("1")


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("async.data.id == event.data.id && !(event.ts + 1 > 2)", True),
        ("has(async.data.id) ? int(async.data.id) in [1] : false", True),
        ("async.data.items.exists(i, i == 1)", False),
        ("async.data.s.contains('a')", False),
        ("now() > date(async.data.at)", False),
    ],
)
def test_plain_programs(source: str, plain: bool) -> None:
    assert compile_expression(source).is_plain == plain


def test_long_expressions_are_fine() -> None:
    source = " || ".join(f"event.data.n == {n}" for n in range(500))
    assert compile_expression(source).holds({"event": {"data": {"n": 499}}})


def test_variables_are_not_changed() -> None:
    event = {"list": [1, 2]}
    program = compile_expression("event.list.map(i, i + 1) + [event.list[0]]")
    assert program.evaluate({"event": event}) == [2, 3, 1]
    assert event == {"list": [1, 2]}


ATOMS = st.sampled_from(
    [
        *("event.data.n", "event.data.s", "event.data.nil", "event.data.m", "event.data.list"),
        *("1", "2.5", "'a'", "''", "true", "false", "null", "[1]", "{'a': 1}", "now()"),
    ]
)
OPERATORS = st.sampled_from(
    ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&&", "||", "in"]
)
SOURCES = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds("({} {} {})".format, inner, OPERATORS, inner)
        | st.builds("!({})".format, inner)
        | st.builds("({} ? {} : {})".format, inner, inner, inner)
    ),
    max_leaves=6,
)


@given(SOURCES)
def test_every_program_gives_a_value_or_an_error(source: str) -> None:
    program = compile_expression(source)
    try:
        result = program.evaluate(VARIABLES, NOW)
    except EvaluationError as problem:
        assert str(problem)  # noqa: PT017 - either is fine, any other exception is not
        assert not program.holds(VARIABLES, NOW)
    else:
        assert program.holds(VARIABLES, NOW) == (result is True)


@given(SOURCES, SOURCES)
def test_comparisons_agree_with_each_other(left: str, right: str) -> None:
    def result(operator: str) -> object:
        try:
            program: Program = compile_expression(f"({left}) {operator} ({right})")
            return program.evaluate(VARIABLES, NOW)
        except EvaluationError:
            return None

    assert (result("==") is True) == (result("!=") is False)
    assert not (result("<") is True and result(">") is True)
    if result("<") is True:
        assert result("<=") is True


def test_dates_are_utc_whatever_their_zone() -> None:
    when = compile_expression("date('2026-11-22T21:57:07.215+01:00')").evaluate({})
    assert when == datetime.fromtimestamp(NOW / 1000, UTC).isoformat().replace("+00:00", "Z")
