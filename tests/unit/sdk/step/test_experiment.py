"""Experiments: one way out of several, chosen once in a run."""

from collections import Counter
from typing import Any

import pytest

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step import experiment
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.experiment import Selection, by_weight, point_of
from tests.ids import steady
from tests.replay.stage import Stage


async def give(value: Any) -> Any:
    return value


def stage(select: Selection, *variants: str, blocking: bool = False) -> Stage:
    """A run with an experiment over variants that each do a step and return its result."""

    async def handler(ctx: Context) -> list[Any]:
        ways = {name: lambda name=name: ctx.step.run(name, give, 1) for name in variants}
        found = await ctx.group.experiment("tone", variants=ways, select=select)
        await ctx.step.run("after", give, None)
        return [found.variant, found.result]

    def handler_sync(ctx: ContextSync) -> list[Any]:
        ways = {name: lambda name=name: ctx.step.run(name, lambda: 1) for name in variants}
        found = ctx.group.experiment("tone", variants=ways, select=select)
        ctx.step.run("after", lambda: None)
        return [found.variant, found.result]

    return Stage(handler_sync, blocking=True) if blocking else Stage(handler)


def in_turn(*names: str) -> Selection:
    """Chooses another one each time it is asked."""
    left = list(names)
    return experiment.custom(lambda: left.pop(0))


@pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])
@pytest.mark.parametrize(
    ("select", "variant"),
    [
        (experiment.fixed("b"), "b"),
        (experiment.weighted({"a": 0, "b": 0.5}), "b"),
        (experiment.weighted({"b": 1}), "b"),
        (experiment.bucket("x", weights={"b": 3}), "b"),
        (experiment.custom(lambda: "b"), "b"),
    ],
    ids=["fixed", "weighted", "weighted, one left out", "bucket", "custom"],
)
async def test_the_variant_that_is_chosen_is_gone_through(
    select: Selection, variant: str, blocking: bool
) -> None:
    played = stage(select, "a", "b", blocking=blocking)
    assert await played.play() == [variant, 1]
    assert played.ended() == ["tone", variant, "after"]


@pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])
async def test_later_calls_go_the_way_the_first_one_chose(blocking: bool) -> None:
    played = stage(in_turn("b", "a"), "a", "b", blocking=blocking)
    assert await played.play() == ["b", 1]


async def test_the_step_that_chooses_says_what_it_is() -> None:
    played = stage(experiment.fixed("a"), "a")
    (chose,) = played.operations(await played.call())
    assert (chose.type, bytes(chose.data)) == ("group.experiment", b'"a"')  # type: ignore[union-attr]


async def test_a_coroutine_may_choose_and_is_tried_again() -> None:
    left = [ConnectionError("the flags are away"), None]

    async def flag() -> str:
        if (error := left.pop(0)) is not None:
            raise error
        return "b"

    for blocking in (False, True):
        left[:] = [ConnectionError("the flags are away"), None]
        played = stage(experiment.custom(flag), "a", "b", blocking=blocking)
        assert await played.play() == ["b", 1]
        assert played.reports[:2] == [["StepError tone"], ["StepRun tone"]]


@pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])
@pytest.mark.parametrize("wrong", ["c", 5, None])
async def test_a_variant_that_there_is_not_fails_the_run_for_good(
    wrong: object, blocking: bool
) -> None:
    found = await stage(experiment.custom(lambda: wrong), "a", "b", blocking=blocking).play()
    assert found["failed"] == "NonRetriableError"
    assert f'experiment "tone": variants has "a", "b", and no {wrong!r}' in found["message"]


async def test_a_variant_taken_away_while_its_run_goes_on_is_named() -> None:
    played = stage(experiment.fixed("b"), "a", "b")
    played.settle(*played.operations(await played.call()))
    later = stage(experiment.fixed("a"), "a")
    later.steps, later.stack = played.steps, played.stack
    found = await later.play()
    assert found["failed"] == "NonRetriableError"
    assert "and no 'b', which this run chose" in found["message"]


@pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])
async def test_what_chooses_may_call_no_step(blocking: bool) -> None:
    async def handler(ctx: Context) -> Any:
        select = experiment.custom(lambda: ctx.step.run("inner", give, "a"))
        ways = {"a": lambda: ctx.step.run("a", give, 1)}
        return await ctx.group.experiment("tone", variants=ways, select=select)

    def handler_sync(ctx: ContextSync) -> Any:
        select = experiment.custom(lambda: ctx.step.run("inner", lambda: "a"))
        ways = {"a": lambda: ctx.step.run("a", lambda: 1)}
        return ctx.group.experiment("tone", variants=ways, select=select)

    chosen: Any = handler_sync if blocking else handler
    found = await Stage(chosen, blocking=blocking).play()
    assert found["failed"] == "StepNestedError"
    assert 'step "inner" is called inside step "tone"' in found["message"]


async def test_an_experiment_that_nobody_awaits_fails_the_call() -> None:
    async def handler(ctx: Context) -> None:
        ways = {"a": lambda: ctx.step.run("a", give, 1)}
        ctx.group.experiment("tone", variants=ways, select=experiment.fixed("a"))  # type: ignore[unused-coroutine]

    found = await Stage(handler).play()
    assert "ctx.group.experiment (" in found["message"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"variants": {}}, "variants = {}: give at least one, by its name"),
    ({"variants": ["a"]}, r"variants = \['a'\]: give at least one"),
    ({"variants": {"a": 1}}, r'variants\["a"\] is no function: put `lambda:` before it'),
    ({"select": "a"}, "select = 'a': give experiment.fixed, weighted, bucket or custom"),
    ({"select": experiment.fixed("c")}, "variants has \"a\", and no 'c' in select"),
    ({"select": experiment.weighted({"a": 1, "c": 1})}, "and no 'c' in select"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=steady)
async def test_wrong_arguments_are_told_before_anything_is_chosen(
    given: dict[str, Any], words: str
) -> None:
    arguments: dict[str, Any] = {
        "variants": {"a": lambda: None},
        "select": experiment.fixed("a"),
        **given,
    }

    async def handler(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match=f'^experiment "tone": .*{words}'):
            await ctx.group.experiment("tone", **arguments)

    def handler_sync(ctx: ContextSync) -> None:
        with pytest.raises(ConfigurationError, match=f'^experiment "tone": .*{words}'):
            ctx.group.experiment("tone", **arguments)

    assert await Stage(handler).play() is None
    assert await Stage(handler_sync, blocking=True).play() is None


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"a": -1}, r'weights\["a"\] = -1: give a number from 0'),
        ({"a": float("nan")}, r'weights\["a"\] = nan: give a number from 0'),
        ({"a": float("inf")}, "give a number from 0"),
        ({"a": "1"}, r"weights\[\"a\"\] = '1': give a number from 0"),
        ({"a": 0}, "weights = {'a': 0}: one must be more than 0"),
        ({}, "one must be more than 0"),
        (["a"], r"weights = \['a'\]: give a weight each"),
    ],
    ids=steady,
)
def test_weights_that_are_none_are_told_of(weights: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        experiment.weighted(weights)
    with pytest.raises(ConfigurationError, match=words):
        experiment.bucket("x", weights=weights)


def test_what_chooses_must_be_a_function() -> None:
    with pytest.raises(ConfigurationError, match="choose = 'b': give a function"):
        experiment.custom("b")  # type: ignore[arg-type]


def test_shares_follow_the_weights_whatever_the_order_they_are_given_in() -> None:
    drawn = Counter(by_weight(point_of(f"run-{n}"), {"b": 1, "a": 3, "c": 0}) for n in range(4000))
    assert set(drawn) == {"a", "b"}
    assert 2900 < drawn["a"] < 3100
    turned = [by_weight(point_of(f"run-{n}"), {"a": 3, "b": 1}) for n in range(100)]
    assert turned == [by_weight(point_of(f"run-{n}"), {"b": 1, "a": 3}) for n in range(100)]


def test_the_end_of_the_line_belongs_to_the_last_variant() -> None:
    assert by_weight(1 - 2**-32, dict.fromkeys("abcdefghij", 0.1)) == "j"
    assert by_weight(1.0, {"a": 1, "b": 1, "c": 0}) == "b"


async def test_experiments_of_one_run_draw_for_themselves() -> None:
    async def handler(ctx: Context) -> list[str]:
        ways = {"a": lambda: give(1), "b": lambda: give(1)}
        select = experiment.weighted({"a": 1, "b": 1})
        found = [
            await ctx.group.experiment("tone", variants=ways, select=select) for _ in range(12)
        ]
        return [one.variant for one in found]

    first, second = await Stage(handler).play_live(), await Stage(handler).play()
    assert set(first) == {"a", "b"}
    assert first == second


async def test_one_value_gets_one_variant_in_every_run() -> None:
    again = {(await stage(experiment.bucket("ada"), *names).play())[0] for names in ("ab", "ba")}
    assert len(again) == 1
    values = [(await stage(experiment.bucket(n), *"ab").play())[0] for n in range(12)]
    assert set(values) == {"a", "b"}
