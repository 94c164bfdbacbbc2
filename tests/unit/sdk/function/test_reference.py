"""Functions of other apps as steps invoke them: row B-5. And what looks like a call: row B-16."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

import stepwell
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step.context import Context, ContextSync
from tests.replay.stage import Stage


@dataclass
class Order:
    number: int


PAY = stepwell.reference_function(app_id="bank", fn_id="pay", input=Order, output=Order)
ANY = stepwell.reference_function(app_id="bank", fn_id="any")


@pytest.mark.parametrize("blocking", [False, True], ids=["coroutine", "plain"])
async def test_it_is_invoked_and_its_result_has_its_type(blocking: bool) -> None:
    found: list[Any] = []

    async def handler(ctx: Context) -> None:
        found.append(await ctx.step.invoke("pay", function=PAY, data=Order(7)))
        found.append(await ctx.step.invoke("any", function=ANY, data={"a": 1}))

    def plain(ctx: ContextSync) -> None:
        found.append(ctx.step.invoke("pay", function=PAY, data=Order(7)))
        found.append(ctx.step.invoke("any", function=ANY, data={"a": 1}))

    chosen: Any = plain if blocking else handler
    played = Stage(chosen, answers={"pay": {"number": 8}, "any": [1]}, blocking=blocking)
    (asked,) = json.loads((await played.call()).body)
    assert asked["opts"] == {"function_id": "bank-pay", "payload": {"data": {"number": 7}}}
    assert await played.play() is None
    assert found[-2:] == [Order(8), [1]]


async def test_data_that_it_does_not_take_is_refused_before_it_is_invoked() -> None:
    async def handler(ctx: Context) -> None:
        wrong: Any = {"number": "seven"}
        with pytest.raises(ConfigurationError, match="does not fit what bank-pay takes"):
            await ctx.step.invoke("pay", function=PAY, data=wrong)

    assert await Stage(handler).play() is None


@pytest.mark.parametrize("ids", [{"app_id": "", "fn_id": "a"}, {"app_id": "a", "fn_id": 3}])
def test_ids_that_are_none(ids: Any) -> None:
    with pytest.raises(ConfigurationError, match="give an id"):
        stepwell.reference_function(**ids)


@pytest.mark.parametrize("name", ["input", "output"])
def test_what_is_no_type_is_refused_by_name(name: str) -> None:
    given: Any = {name: 3}
    with pytest.raises(ConfigurationError, match=f"{name} = 3: give a type"):
        stepwell.reference_function(app_id="bank", fn_id="pay", **given)


def test_a_reference_tells_whom_it_means() -> None:
    assert (PAY.id, repr(PAY)) == ("bank-pay", "<FunctionReference bank-pay>")


@pytest.mark.parametrize(
    ("headers", "looks"),
    [
        ({"X-Run-ID": "01", "X-Inngest-Signature": "-"}, True),
        ({"x-run-id": "01"}, False),
        ({"x-inngest-signature": "t=1&s=2"}, False),
        ({}, False),
    ],
)
def test_what_looks_like_a_call_of_the_server(headers: dict[str, str], looks: bool) -> None:
    assert stepwell.is_inngest_request(headers) is looks
