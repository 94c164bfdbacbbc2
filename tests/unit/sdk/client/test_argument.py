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


CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("send_sync", {"env": 5}, "env = 5: give text"),
    ("send_sync", {"seed": 5}, "seed = 5: give text"),
    ("send_sync", {"split": 5}, "split = 5: give True or False"),
    ("send_sync", {"skip_middleware": "no"}, "skip_middleware = 'no': give True or False"),
    ("send_sync", {"all_or_nothing": 1}, "all_or_nothing = 1: give True or False"),
    ("invoke_sync", {"function": 5}, "invoke: function = 5: give a function, or its id"),
    ("invoke_sync", {"function": "a-f", "v": 5}, 'invoke "a-f": v = 5: give text'),
    ("set_event_key", {"event_key": 5}, "event_key = 5: give text"),
    ("on_any_failure", {"app_id": 5}, "app_id = 5: give text"),
]


@pytest.mark.parametrize(("method", "given", "words"), CALLS, ids=exact)
def test_arguments_of_what_a_client_does(method: str, given: dict[str, Any], words: str) -> None:
    client = Inngest(app_id="a", is_dev=True)
    first = {"events": {"name": "e"}} if method == "send_sync" else {}
    with pytest.raises(ConfigurationError) as caught:
        getattr(client, method)(**first, **given)
    assert str(caught.value).startswith(words)


def test_the_mode_can_be_assigned() -> None:
    client = Inngest(app_id="a", is_dev=True)
    client.is_production = True
    assert client.is_production
    assert client.api_origin == "https://api.inngest.com/"
    client.is_production = False
    assert client.settings.mode == "dev"
    for wrong in ("yes", None, 1):
        with pytest.raises(ConfigurationError, match=r"is_production = .*: give True or False"):
            client.is_production = wrong  # type: ignore[assignment]
    assert not client.is_production
