"""Arguments of the wrong kind are told where they are given: the name, the value and the fix."""

import datetime as dt
from typing import Any

import pytest

from stepwell import (
    Batch,
    Cancel,
    Concurrency,
    ConfigurationError,
    FunctionConfigInvalidError,
    Inngest,
    RetryAfterError,
)
from tests.ids import exact


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"api_base_url": 5}, 'api_base_url = 5: give a URL, such as "http'),
        ({"event_key": b"k"}, "event_key = b'k': give text"),
        ({"is_production": "yes"}, "is_production = 'yes': give True or False"),
        ({"is_dev": 1}, "is_dev = 1: give True or False"),
        ({"request_timeout": "30s"}, "request_timeout = '30s': give milliseconds or a timedelta"),
        ({"request_timeout": True}, "request_timeout = True: give milliseconds"),
        ({"send_retries": "5"}, "send_retries = '5': give a whole number"),
        ({"send_retries": -1}, "send_retries = -1: give 0 or more"),
        ({"middleware": 5}, "middleware = 5: give a list"),
    ],
    ids=exact,
)
def test_arguments_of_the_client(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Inngest(app_id="a", **given)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"retries": "3"}, "retries = '3': give a whole number"),
        ({"retries": -1}, "retries = -1: give 0 to 20"),
        ({"retries": 21}, "retries = 21: give 0 to 20"),
        ({"name": 5}, "name = 5: give text"),
        ({"cancel": Cancel(event="x")}, "cancel = Cancel("),
        ({"cancel": ["x"]}, "cancel[0] = 'x': give a list such as [Cancel(event=...)]"),
        ({"concurrency": 5}, "concurrency = 5: give a list such as [Concurrency(limit=...)]"),
        ({"concurrency": [5]}, "concurrency[0] = 5: give"),
        ({"batch_events": 5}, "batch_events = 5: give Batch(max_size=...)"),
        ({"debounce": "5s"}, "debounce = '5s': give Debounce(period=...)"),
        ({"singleton": "skip"}, "singleton = 'skip': give Singleton(mode=\"skip\")"),
        ({"throttle": {}}, "throttle = {}: give Throttle(limit=..., period=...)"),
        ({"timeouts": 5}, "timeouts = 5: give Timeouts("),
    ],
    ids=exact,
)
def test_options_of_functions(given: dict[str, Any], words: str) -> None:
    async def handler(ctx: Any) -> None: ...

    with pytest.raises(FunctionConfigInvalidError) as caught:
        Inngest(app_id="a").on("e", fn_id="f", **given)(handler)
    assert str(caught.value).startswith(f'function "f": {words}')


def test_what_fits_passes() -> None:
    async def handler(ctx: Any) -> None: ...

    client = Inngest(app_id="a", request_timeout=dt.timedelta(seconds=1), is_dev=None)
    client.on("e", retries=0, concurrency=[Concurrency(limit=1)], name=None)(handler)
    client.on("e", retries=20, cancel=(Cancel(event="x"),))(handler)
    client.on("e", batch_events=Batch(max_size=2, timeout="5s"))(handler)


def test_an_option_that_is_misspelt() -> None:
    with pytest.raises(TypeError, match=r"retry: a function has no such option; did you mean re"):
        Inngest(app_id="a").on("e", retry=3)  # type: ignore[call-overload]


@pytest.mark.parametrize("given", [None, True, [1]])
def test_the_delay_of_a_retry(given: Any) -> None:
    with pytest.raises(TypeError, match=r"retry_after = .*: give milliseconds"):
        RetryAfterError("later", given)
