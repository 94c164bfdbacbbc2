"""What a worker may be told, and the words of every refusal."""

import datetime as dt
import json
import re
import signal
import subprocess
import sys
from typing import Any

import pytest

from stepwell.connect import connect
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.connect.backoff import Situation, StartFailure, after_start
from stepwell.sdk.connect.option import ConnectApp, ConnectOptions, plan
from stepwell.sdk.errors import ConfigurationError, SigningKeyMissingError
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.wire.signature import bearer

KEY = "signkey-test-" + "ab" * 32


async def handler(ctx: Any) -> None: ...


def app(app_id: str = "app", **options: Any) -> Any:
    client = Inngest(app_id=app_id, **{"is_production": False, **options})
    made = client.create_function(fn_id="fn", trigger=TriggerEvent(event="x"))(handler)
    return (client, [made])


def refused(apps: Any, words: str, **options: Any) -> None:
    with pytest.raises(ConfigurationError, match=words):
        connect(apps, **options)


def test_w28_refusals_of_apps() -> None:
    refused([], "No apps provided")
    refused(["app"], r"apps\[0\] is 'app': give a client, a pair")
    refused([Inngest(app_id="app", is_production=False)], "'app' has no functions yet: import")
    refused([app(), app()], "Duplicate app id: app")
    other = "http://other:1"
    refused([app(), app("b", api_base_url=other)], "inconsistent app config: API base URL")
    refused([app(), app("b", env="x")], "inconsistent app config: env")
    refused([app(), app("b", signing_key=KEY)], "inconsistent app config: signing key")
    cloud = {"is_production": True, "signing_key": KEY, "api_base_url": "http://127.0.0.1:8288"}
    refused([app(), app("b", **cloud)], "inconsistent app config: (mode|API base URL)")


def test_w28_a_client_alone_serves_what_was_declared_with_it() -> None:
    client, functions = app()
    for given in (client, ConnectApp(client)):
        config = plan([given], ConnectOptions()).config
        assert [f["id"] for f in json.loads(config.apps[0].functions)] == ["app-fn"]
    late = client.create_function(fn_id="late", trigger=TriggerEvent(event="x"))(handler)
    config = plan([(client, functions)], ConnectOptions()).config
    assert late.id not in config.apps[0].functions.decode()


def test_w28_an_empty_list_of_functions_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    client, _ = app()
    assert json.loads(plan([(client, [])], ConnectOptions()).config.apps[0].functions) == []
    assert "the app 'app' is connected without functions" in caplog.text


@pytest.mark.parametrize(
    ("options", "asks_the_cloud"),
    [
        ({"is_production": True, "signing_key": KEY}, True),
        ({"is_production": True, "signing_key": KEY, "base_url": "http://127.0.0.1:1"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("status", [401, 500, None])
async def test_a_worker_that_cannot_begin_at_the_cloud_says_where_it_was(
    status: int | None, options: dict[str, Any], asks_the_cloud: bool
) -> None:
    async def server(*_: object) -> tuple[int, dict[str, str], bytes]:
        if status is None:
            raise ConnectionError("no such host")
        return status, {}, b""

    made = plan([app(http_client=server, **options)], ConnectOptions())
    failure = await made.handshake().start(0, ())
    assert isinstance(failure, StartFailure)
    told = Situation(failures=1, first=True, keys=1, keys_refused=1, tokens_refused=0, chance=0.5)
    words = after_start(failure, told).words
    assert (
        "Inngest's cloud: to use a server of your own, set INNGEST_BASE_URL" in words
    ) is asks_the_cloud


def test_refusals_of_options() -> None:
    refused([app()], "max_worker_concurrency = 0", max_worker_concurrency=0)
    refused([app()], "outbox_bytes_max = 0", outbox_bytes_max=0)
    refused([app()], "give_up_after = -1", give_up_after=-1)
    refused([app()], "processes = 0", processes=0)
    refused([app()], 'executor = .fibre.: say "thread" or "process"', executor="fibre")
    refused([app()], "does not serve; it serves app-fn", executor={"other": "process"})
    refused([app()], "must begin with ws:// or wss://", gateway_url="http://x")
    refused([app()], "names no host", gateway_url="ws://")
    refused([app()], "give one", gateway_url="ws://x", rewrite_gateway_endpoint=str)
    refused([app(signing_key="signkey-test-xyz")], "signing_key: the signing key is malformed")


def test_w30_refusals_of_the_cloud() -> None:
    with pytest.raises(SigningKeyMissingError, match="Signing key is required"):
        connect([app(is_production=True)])
    branch = "signkey-branch-" + "ab" * 32
    refused([app(is_production=True, signing_key=branch)], "Environment is required")
    connect([app(is_production=True)], signing_key=KEY)


def settled(apps: Any = None, env: dict[str, str] | None = None, **options: Any) -> Any:
    pair = app()
    pair[0].set_env_vars(env or {})
    return plan(apps or [pair], ConnectOptions(**options))


def test_w33_limits_come_from_the_option_then_the_environment() -> None:
    name = "INNGEST_CONNECT_MAX_WORKER_CONCURRENCY"
    assert settled().config.concurrency_max is None
    assert settled(env={name: "7"}).config.concurrency_max == 7
    assert settled(env={name: "7"}, max_worker_concurrency=3).config.concurrency_max == 3
    for nonsense in ("0", "-1", "many", ""):
        assert settled(env={name: nonsense}).config.concurrency_max is None


def test_isolation_can_be_switched_off() -> None:
    name = "INNGEST_CONNECT_ISOLATE_EXECUTION"
    assert settled().isolated
    assert not settled(env={name: "false"}).isolated
    assert settled(env={name: "false"}, isolate_execution=True).isolated
    assert not settled(isolate_execution=False).isolated


def test_w32_gateway_urls_keep_the_path_unless_given_one() -> None:
    endpoint = "ws://inside:8289/v0/connect"
    assert settled().rewrite is None
    assert settled(gateway_url="wss://out:1").rewrite(endpoint) == "wss://out:1/v0/connect"
    assert settled(gateway_url="wss://out/x").rewrite(endpoint) == "wss://out/x"
    env = {"INNGEST_CONNECT_GATEWAY_URL": "ws://env:2/"}
    assert settled(env=env).rewrite(endpoint) == "ws://env:2/v0/connect"


def test_times_may_be_timedeltas() -> None:
    config = settled(give_up_after=dt.timedelta(minutes=2), shutdown_timeout=1.5).config
    assert config.give_up_after_s == 120
    assert config.shutdown_timeout_s == 1.5
    assert settled().config.give_up_after_s is None


def test_w30_keys_given_here_come_before_those_of_the_client() -> None:
    other = "signkey-test-" + "cd" * 32
    pair = app(signing_key=KEY, signing_key_fallback=other)
    assert settled([pair]).tokens == (bearer(KEY), bearer(other))
    assert settled([pair], signing_key=other).tokens == (bearer(other),)
    assert settled().tokens == ()


def test_a_process_is_chosen_by_either_id() -> None:
    assert settled(executor={"fn": "process"}).process_functions == {"app-fn"}
    assert settled(executor={"app-fn": "process"}).process_functions == {"app-fn"}
    assert settled(executor="process").process_functions == {"app-fn"}
    assert settled(executor={"fn": "thread"}).process_functions == frozenset()


def test_failure_handlers_are_registered_too() -> None:
    client = Inngest(app_id="app", is_production=False)
    made = client.create_function(fn_id="fn", trigger=TriggerEvent(event="x"), on_failure=handler)(
        handler
    )
    config = plan([(client, [made])], ConnectOptions()).config
    functions = json.loads(config.apps[0].functions)
    assert [f["id"] for f in functions] == ["app-fn", "app-fn-failure"]


def test_w29_instances_are_named_after_the_host_by_default() -> None:
    import socket

    assert settled().config.instance_id == socket.gethostname()
    assert settled(instance_id="mine").config.instance_id == "mine"


def test_arguments_of_the_wrong_kind_are_named_with_their_value_and_what_to_give() -> None:
    client, functions = app()
    refused(client, r"apps = <Inngest app>: give a list")
    refused(None, r"apps = None: give a list")
    refused([(client, functions[0])], r"apps\[0\]\[1\] = <Function app-fn>: give a list of")
    for name, value, give in (
        ("max_worker_concurrency", "3", "a whole number above 0"),
        ("max_worker_concurrency", True, "a whole number above 0"),
        ("give_up_after", "5m", "a positive number of seconds, or a timedelta"),
        ("instance_id", 5, "text"),
        ("gateway_url", 5, "a URL"),
        ("rewrite_gateway_endpoint", "ws://x", "a function from one URL to another"),
        ("on_state_change", 5, "a function that takes a ConnectionState"),
        ("signing_key", 5, "the key as text"),
        ("outbox_directory", 5, "the path of a directory"),
        ("isolate_execution", "no", "True or False"),
        ("health_port", 70_000, "a port from 0 to 65535"),
        ("executor", 5, '"thread" or "process"'),
        ("processes", 1.5, "a whole number above 0"),
    ):
        refused([client], re.escape(f"{name} = {value!r}: give {give}"), **{name: value})


def test_w31_signals_may_go_by_either_name_and_must_be_some_that_can_be_caught() -> None:
    assert settled().signals == (signal.SIGINT, signal.SIGTERM)
    for name in ("shutdown_signals", "handle_shutdown_signals"):
        assert settled(**{name: [signal.SIGTERM]}).signals == (signal.SIGTERM,)
        assert settled(**{name: []}).signals == ()
        refused([app()], rf"{name}\[0\] = 'SIGTERM': give a signal", **{name: ["SIGTERM"]})
        refused([app()], rf"{name} = .*: give a list such as", **{name: signal.SIGTERM})
        refused([app()], "no process can catch SIGKILL", **{name: [signal.SIGKILL]})
    refused([app()], "give one", shutdown_signals=[], handle_shutdown_signals=[])


def test_w36_where_there_are_no_websockets_this_is_said() -> None:
    program = (
        "import stepwell, sys\n"
        "sys.platform = 'emscripten'\n"
        "try:\n"
        "    import stepwell.connect\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith("WebSockets not supported in current environment (emscripten)")
