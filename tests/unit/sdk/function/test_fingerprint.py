"""Which code a handler is: the same in every process, and another for another program."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from stepwell.sdk.function.fingerprint import CHARS, fingerprint

PLAIN = """
async def handler(ctx):
    async def charge():
        return 3

    paid = await ctx.step.run("charge", charge)
    return paid in {"a", "b", 1.5} and (lambda: None)
"""


def handler_of(source: str, file: str = "app.py", lines: int = 0) -> Callable[..., Any]:
    found: dict[str, Any] = {"functools": functools}
    exec(compile("\n" * lines + source, file, "exec"), found)
    handler: Callable[..., Any] = found["handler"]
    return handler


def told(source: str, **where: Any) -> str:
    return fingerprint(handler_of(source, **where))


def test_it_is_short_and_the_same_when_asked_again() -> None:
    handler = handler_of(PLAIN)
    assert fingerprint(handler) == fingerprint(handler)
    assert len(fingerprint(handler)) == CHARS
    assert set(fingerprint(handler)) <= set("0123456789abcdef")


def test_it_is_the_same_in_another_process() -> None:
    program = (
        "import sys; from stepwell.sdk.function.fingerprint import fingerprint; found = {};"
        "exec(sys.argv[1], found); print(fingerprint(found['handler']))"
    )
    # Another seed puts sets in another order.
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    ran = subprocess.run(
        [sys.executable, "-c", program, PLAIN],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == told(PLAIN)


@pytest.mark.parametrize(
    "same",
    [
        PLAIN.replace("paid in", "(paid)  in"),
        PLAIN.replace("    paid =", "    # Money.\n\n    paid ="),
        PLAIN.replace("(ctx):", '(ctx: "Context[Any]") -> bool:'),
        PLAIN.replace("return 3", "return 3  # euros"),
    ],
)
def test_what_changes_nothing(same: str) -> None:
    assert told(same) == told(PLAIN)


def test_neither_file_nor_line_changes_it() -> None:
    assert told(PLAIN, file="/elsewhere/app.py", lines=17) == told(PLAIN)


OF_A_CLASS = """
def handler(ctx):
    class Order:
        first = {first}
        second = 2000
    return Order
"""


@pytest.mark.parametrize("lines", [17, 252, 300])
def test_the_line_of_a_class_within_it_changes_nothing(lines: int) -> None:
    base = told(OF_A_CLASS.format(first=303))
    # In the last case the line is a constant of the class already.
    assert told(OF_A_CLASS.format(first=303), lines=lines) == base
    assert told(OF_A_CLASS.format(first=2000), lines=lines) != base


DOCUMENTED = 'def handler(ctx):\n    "{doc}"\n    return ctx.step.run("a", lambda: 1)\n'


def test_what_a_docstring_says_changes_nothing() -> None:
    assert told(DOCUMENTED.format(doc="One.")) == told(DOCUMENTED.format(doc="Another."))
    inner = "def handler(ctx):\n    def inner():\n        '{doc}'\n    return inner\n"
    assert told(inner.format(doc="One.")) == told(inner.format(doc="Another."))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"charge"', '"pay"'),
        ("return 3", "return 4"),
        ("return 3", "return 3.0"),
        ("return 3", "return True"),
        ('"a", "b"', '"a", "c"'),
        ("lambda: None", "lambda: 1"),
        ("(ctx)", "(ctx, amount=3)"),
        ("charge)", "charge, 1)"),
        ("async def charge", "def charge"),
        ("ctx.step.run", "ctx.step.invoke"),
    ],
)
def test_what_makes_it_other_code(old: str, new: str) -> None:
    assert old in PLAIN
    assert told(PLAIN.replace(old, new, 1)) != told(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(ctx, amount=3): pass", "(ctx, amount=4): pass"),
        ("(ctx, *, amount=3): pass", "(ctx, *, amount=4): pass"),
        ("(ctx, of=(1, 'a')): pass", "(ctx, of=(1, 'b')): pass"),
        ("(ctx, by=int): pass", "(ctx, by=str): pass"),
        ("(ctx): return -1", "(ctx): return 1"),
        ("(ctx): return b'x'", "(ctx): return 'x'"),
        ("(ctx): return ctx.a", "(ctx): return ctx.b"),
    ],
)
def test_defaults_and_constants(one: str, other: str) -> None:
    assert told(f"def handler{one}") != told(f"def handler{other}")


MAKER = """
def maker(price, helper):
    def handler(ctx):
        return helper(price)
    return handler
handler = maker({price}, lambda x: x + {more})
"""


def test_what_it_closes_over_belongs_to_it() -> None:
    base = told(MAKER.format(price=3, more=1))
    assert told(MAKER.format(price=3, more=1)) == base
    assert told(MAKER.format(price=4, more=1)) != base
    assert told(MAKER.format(price=3, more=2)) != base
    # An object has no text that is the same in another process: its type alone counts.
    assert told(MAKER.format(price="object()", more=1)) == told(
        MAKER.format(price="object()", more=1)
    )


DECORATED = """
def decorate(inner):
    @functools.wraps(inner)
    def outer(*given):
        return inner(*given){change}
    return outer

@decorate
def handler(ctx):
    return {value}
"""


def test_a_decorated_handler_is_both() -> None:
    base = told(DECORATED.format(change="", value=1))
    assert told(DECORATED.format(change="", value=1)) == base
    assert told(DECORATED.format(change="", value=2)) != base
    assert told(DECORATED.format(change=" or 7", value=1)) != base


def test_partials_methods_and_objects() -> None:
    def work(ctx: object, price: int) -> int:
        return price

    assert fingerprint(functools.partial(work, price=1)) == fingerprint(
        functools.partial(work, price=1)
    )
    assert fingerprint(functools.partial(work, price=1)) != fingerprint(
        functools.partial(work, price=2)
    )

    class Shop:
        def pay(self, ctx: object) -> int:
            return 1

        def ship(self, ctx: object) -> int:
            return 2

        def __call__(self, ctx: object) -> int:
            return 3

    assert fingerprint(Shop().pay) == fingerprint(Shop().pay)
    assert len({fingerprint(one) for one in (Shop().pay, Shop().ship, Shop())}) == 3


def test_a_handler_that_closes_over_itself() -> None:
    source = "def make():\n    def handler(ctx):\n        return handler\n    return handler\n"
    assert told(source + "handler = make()") == told(source + "handler = make()")


def test_what_is_not_written_in_python_has_none() -> None:
    assert fingerprint(len) == ""
