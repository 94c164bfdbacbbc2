"""A schedule that cannot be, or never comes, is refused where it is declared."""

import pytest

import stepwell


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
