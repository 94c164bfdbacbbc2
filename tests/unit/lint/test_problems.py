"""What the linter tells, and what it is silent about: row B-103."""

import textwrap

import pytest

from stepwell.lint.names import STEPS
from stepwell.lint.problems import problems_in
from stepwell.sdk.step._async import AI, Step, StepRealtime

HEAD = """\
import stepwell
from functools import partial
from stepwell import Inngest, step
client = Inngest(app_id="shop")
api: Inngest = stepwell.Inngest(app_id="api")
"""

TOLD = {
    "a step of the context": ("SW101", "async def f(ctx):\n    ctx.step.run('a', g)  # here"),
    "a step of another name": ("SW101", "async def f(c):\n    c.step.sleep('a', 3)  # here"),
    "the step without a context": ("SW101", "async def f():\n    step.run('a', g)  # here"),
    "a step's part": ("SW101", "async def f(ctx):\n    ctx.step.ai.infer('a')  # here"),
    "a send": ("SW101", "async def f():\n    client.send(e)  # here"),
    "a send of an annotated client": ("SW101", "async def f():\n    api.send(e)  # here"),
    "a send in plain code": ("SW101", "def f():\n    client.send(e)  # here"),
    "within a branch": ("SW101", "async def f(ctx):\n    if x:\n        step.run('a', g)  # here"),
    "a step in a lambda": (
        "SW102",
        "def f(ctx):\n    ctx.step.run('a', lambda: ctx.step.run('b', g))  # here",
    ),
    "a step in a function": (
        "SW102",
        """\
        async def f(ctx):
            async def work():
                await ctx.step.sleep('b', 3)  # here
            await ctx.step.run('a', work)
        """,
    ),
    "a step in a partial": (
        "SW102",
        """\
        async def f(ctx):
            async def work(n):
                await step.run('b', g)  # here
            await ctx.step.run('a', partial(work, 3))
        """,
    ),
    "a handler by name": (
        "SW102",
        """\
        async def f(ctx):
            async def work():
                await ctx.step.run('b', g)  # here
            await ctx.step.run('a', handler=work)
        """,
    ),
    "nonlocal": (
        "SW103",
        """\
        async def f(ctx):
            total = 0
            async def work():
                nonlocal total  # here
                total += 1
            await ctx.step.run('a', work)
        """,
    ),
    "a list that grows": (
        "SW103",
        """\
        def f(ctx):
            found = []
            ctx.step.run('a', lambda: found.append(1))  # here
        """,
    ),
    "an element": (
        "SW103",
        """\
        async def f(ctx):
            found = {}
            async def work():
                found["a"] = 1  # here
            await ctx.step.run('a', work)
        """,
    ),
    "an attribute of an argument": (
        "SW103",
        """\
        async def f(ctx, order):
            async def work():
                order.state.paid += 1  # here
            await ctx.step.run('a', work)
        """,
    ),
}

SILENT = {
    "awaited": "async def f(ctx):\n    await ctx.step.run('a', g)",
    "kept for later": "async def f(ctx):\n    one = ctx.step.run('a', g)\n    await one",
    "plain code has steps without await": "def f(ctx):\n    ctx.step.run('a', g)",
    "a send of somebody else": "async def f(mail):\n    mail.send(e)",
    "another step": "async def f(machine):\n    machine.step()\n    machine.steps.run('a')",
    "a name like it": "async def f(ladder):\n    ladder.next.run('a', g)",
    "steps beside each other": """\
        async def f(ctx):
            async def work():
                return 1
            await ctx.step.run('a', work)
            await ctx.step.run('b', work)
        """,
    "a function that is no step": """\
        async def f(ctx):
            async def both():
                await ctx.step.run('a', g)
                await ctx.step.run('b', g)
            await both()
        """,
    "its own variables": """\
        async def f(ctx):
            found = []
            async def work():
                found = []
                found.append(1)
                found[0] = 2
                return found
            found = await ctx.step.run('a', work)
        """,
    "a variable of the module": """\
        cache = {}
        async def f(ctx):
            async def work():
                cache["a"] = 1
            await ctx.step.run('a', work)
        """,
    "changed outside of steps": """\
        async def f(ctx):
            found = []
            found.append(await ctx.step.run('a', g))
        """,
    "a session that a step writes with": """\
        async def f(ctx):
            async with Session() as session:
                async def work():
                    session.add(Order())
                    await session.commit()
                await ctx.step.run('a', work)
        """,
    "an argument that a step calls": """\
        def f(ctx, stripe):
            ctx.step.run('a', lambda: stripe.refunds.update(3))
        """,
    "a step's key for others": """\
        async def f(ctx):
            async def work():
                pay(ctx.step.idempotency_key.encode())
            await ctx.step.run('a', work)
        """,
    "steps of something else": "async def f(self):\n    self.step.reset()\n    self.step.x.run()",
    "an argument that is called as a client": "def f(client):\n    client.send(e)",
    "what a step catches": """\
        async def f(ctx):
            error = {}
            async def work():
                try:
                    g()
                except ValueError as error:
                    error.told = True
                match g():
                    case [*found]:
                        found.append(1)
                import shop
                shop.open = True
            await ctx.step.run('a', work)
            found, shop = [], {}
        """,
    "two codes of a line left out": """\
        async def f(ctx):
            found = []
            ctx.step.run('a', lambda: found.append(1))  # noqa: SW101, SW103
        """,
    "left out": "async def f(ctx):\n    ctx.step.run('a', g)  # noqa: SW101",
    "left out whole": "async def f(ctx):\n    ctx.step.run('a', g)  # noqa",
    "left out below a form feed": "\f\nasync def f(ctx):\n    ctx.step.run('a', g)  # noqa: SW101",
    "left out beside others": "async def f(ctx):\n    ctx.step.run('a', g)  # noqa: E501, SW101",
}


@pytest.mark.parametrize(("code", "source"), TOLD.values(), ids=TOLD)
def test_a_mistake_is_told_where_it_is(code: str, source: str) -> None:
    whole = HEAD + textwrap.dedent(source)
    lines = whole.splitlines()
    (line,) = (number for number, text in enumerate(lines, 1) if text.endswith("# here"))
    (found,) = problems_in(whole)
    assert (found.code, found.line) == (code, line)
    assert lines[line - 1][found.column] != " "


@pytest.mark.parametrize("source", SILENT.values(), ids=SILENT)
def test_what_may_be_right_is_not_told(source: str) -> None:
    assert problems_in(HEAD + textwrap.dedent(source)) == []


def test_what_is_left_out_is_what_was_named() -> None:
    source = HEAD + "async def f(ctx):\n    ctx.step.run('a', g)  # noqa: SW103"
    assert [one.code for one in problems_in(source)] == ["SW101"]
    with pytest.raises(SyntaxError):
        problems_in("def f(:")


def test_steps_are_those_that_the_sdk_has() -> None:
    of = {"": Step, "ai.": AI, "realtime.": StepRealtime}
    found = {
        prefix + name
        for prefix, kind in of.items()
        for name, value in vars(kind).items()
        if callable(value) and not name.startswith("_")
    }
    assert found == STEPS
