"""A schedule that never comes, and a second function of one id: refused where they are declared."""

from typing import Any

import pytest

import stepwell

ON = stepwell.TriggerEvent(event="shop/placed")


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 0 31 2 *", "no such day ever comes"),
        ("0 0 30 2 *", "no such day ever comes"),
        ("61 * * * *", "minute '61' is not understood"),
        ("@daily", "has 1 fields: use five"),
        ("TZ=Mars/Base 0 9 * * *", "time zone 'Mars/Base' is unknown"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(cron: str, words: str) -> None:
    with pytest.raises(stepwell.FunctionConfigInvalidError, match=words):
        stepwell.TriggerCron(cron=cron)


def test_a_machine_without_time_zones_leaves_them_to_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stepwell.sdk.function.trigger.available_timezones", set)
    cron = "TZ=Mars/Base 0 9 * * *"
    assert stepwell.TriggerCron(cron=cron).cron == cron


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "TZ=Europe/Paris 0 9 * * MON-FRI", "*/5 * * * *"])
def test_one_that_comes_some_day_is_taken(cron: str) -> None:
    assert stepwell.TriggerCron(cron=cron).cron == cron


def client_of(app_id: str = "shop") -> stepwell.Inngest:
    return stepwell.Inngest(app_id=app_id, is_production=False)


async def charge(ctx: stepwell.Context) -> None: ...


async def refund(ctx: stepwell.Context) -> None: ...


def test_a_second_function_of_one_id_is_refused() -> None:
    client = client_of()
    client.create_function(fn_id="pay", trigger=ON)(charge)
    with pytest.raises(stepwell.FunctionConfigInvalidError) as raised:
        client.create_function(fn_id="pay", trigger=ON)(refund)
    assert 'Duplicate function ID "shop-pay"' in str(raised.value)
    assert "test_declared_twice.charge" in str(raised.value)
    assert len(client.functions) == 1
    client_of("other").create_function(fn_id="pay", trigger=ON)(refund)


def test_the_id_of_a_handler_of_failures_counts() -> None:
    client = client_of()
    client.create_function(fn_id="pay", trigger=ON, on_failure=charge)(charge)
    with pytest.raises(stepwell.FunctionConfigInvalidError, match='"shop-pay-failure"'):
        client.create_function(fn_id="pay-failure", trigger=ON)(refund)


def test_one_that_is_defined_again_replaces_what_it_was() -> None:
    """As in a notebook, and when a module is loaded again."""
    client = client_of()
    cell = (
        '@client.create_function(fn_id="pay", trigger=ON)\n'
        "async def pay(ctx: stepwell.Context) -> None: ...\n"
    )
    for _ in range(2):
        names: dict[str, Any] = {"client": client, "ON": ON, "stepwell": stepwell}
        exec(cell, {**names, "__name__": "notebook"}, names)
    assert [function.id for function in client.functions] == ["shop-pay"]
    assert client.functions[0] is names["pay"]


def test_one_factory_makes_functions_of_several_ids() -> None:
    client = client_of()

    def made(fn_id: str) -> stepwell.Function[None]:
        @client.create_function(fn_id=fn_id, trigger=ON)
        async def handler(ctx: stepwell.Context) -> None: ...

        return handler

    made("a"), made("b"), made("a")
    assert [function.local_id for function in client.functions] == ["b", "a"]
