"""Settings: the decision tables of http.md section 1 and features A.9 and A.10, row by row."""

from typing import Any

import pytest

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.settings import (
    Options,
    ServeOptions,
    Settings,
    Streaming,
    parse_flag,
    parse_origin,
    resolve,
    resolve_serve,
)


def reason(settings: Settings, name: str) -> str:
    return next(d.reason for d in settings.decisions if d.name == name)


@pytest.mark.parametrize(
    ("environ", "mode", "origin"),
    [
        ({}, "cloud", "https://api.inngest.com/"),
        ({"INNGEST_DEV": ""}, "cloud", "https://api.inngest.com/"),
        ({"INNGEST_DEV": " "}, "cloud", "https://api.inngest.com/"),
        ({"INNGEST_DEV": "1"}, "dev", "http://127.0.0.1:8288/"),
        ({"INNGEST_DEV": " TRUE "}, "dev", "http://127.0.0.1:8288/"),
        ({"INNGEST_DEV": "yes"}, "dev", "http://127.0.0.1:8288/"),
        ({"INNGEST_DEV": "on"}, "dev", "http://127.0.0.1:8288/"),
        ({"INNGEST_DEV": "0"}, "cloud", "https://api.inngest.com/"),
        ({"INNGEST_DEV": "False"}, "cloud", "https://api.inngest.com/"),
        ({"NEXT_PUBLIC_INNGEST_DEV": "1"}, "dev", "http://127.0.0.1:8288/"),
        ({"INNGEST_DEV": "0", "NEXT_PUBLIC_INNGEST_DEV": "1"}, "cloud", "https://api.inngest.com/"),
    ],
)
def test_e_181_mode_by_variable(environ: dict[str, str], mode: str, origin: str) -> None:
    settings = resolve(Options(), environ)
    assert (settings.mode, settings.api_origin) == (mode, origin)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://dev.test:1234", "http://dev.test:1234"),
        ("https://dev.test", "https://dev.test"),
        ("localhost:8288", "http://localhost:8288"),
        ("inngest:8288", "http://inngest:8288"),
        ("[::1]:8288", "http://[::1]:8288"),
    ],
)
def test_e_182_the_variable_may_be_the_servers_url(text: str, origin: str) -> None:
    settings = resolve(Options(), {"INNGEST_DEV": text})
    assert (settings.mode, settings.mode_is_explicit) == ("dev", True)
    assert (settings.api_origin, settings.event_origin) == (origin, origin)


@pytest.mark.parametrize("text", ["dev", "undefined", "2", "ftp://x.test", "http://", "a b:1"])
def test_e_181_a_mode_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="INNGEST_DEV"):
        resolve(Options(), {"INNGEST_DEV": text})


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        (Options(is_production=True), "cloud"),
        (Options(is_production=False), "dev"),
        (Options(is_dev=True), "dev"),
        (Options(is_dev=False), "cloud"),
        (Options(mode="dev"), "dev"),
        (Options(mode="cloud"), "cloud"),
        (Options(is_dev=True, is_production=False, mode="dev"), "dev"),
    ],
)
def test_e_186_the_constructor_outranks_the_variable(options: Options, mode: str) -> None:
    for value in ("0", "1"):
        settings = resolve(options, {"INNGEST_DEV": value})
        assert settings.mode == mode
        assert settings.mode_is_explicit
        assert reason(settings, "mode").startswith("argument ")


@pytest.mark.parametrize(
    "options",
    [
        Options(is_dev=True, is_production=True),
        Options(is_dev=False, mode="dev"),
        Options(is_production=False, mode="cloud"),
    ],
)
def test_e_180_contradictions_are_refused(options: Options) -> None:
    with pytest.raises(ConfigurationError, match="contradict"):
        resolve(options, {})


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'staging'.*'auto'"):
        resolve(Options(mode="staging"), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, "dev"),
        ({"ENVIRONMENT": "production"}, "cloud"),
        ({"NODE_ENV": "development"}, "dev"),
        ({"VERCEL_ENV": "preview"}, "cloud"),
        ({"VERCEL_ENV": "development"}, "dev"),
        ({"RENDER": "true"}, "cloud"),
        *(
            ({name: "x"}, "cloud")
            for name in (
                *("DENO_DEPLOYMENT_ID", "NETLIFY", "RAILWAY_GIT_BRANCH", "CF_PAGES", "DYNO"),
                *("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "WEBSITE_INSTANCE_ID"),
                *("FLY_APP_NAME", "KUBERNETES_SERVICE_HOST"),
            )
        ),
        *(
            ({name: "Prod-eu"}, "cloud")
            for name in ("CONTEXT", "VERCEL_ENV", "FLASK_ENV", "APP_ENV", "PYTHON_ENV")
        ),
        ({"DJANGO_SETTINGS_MODULE": "shop.settings.production"}, "cloud"),
        ({"DJANGO_SETTINGS_MODULE": "shop.settings"}, "dev"),
        ({"RENDER": "true", "INNGEST_DEV": "1"}, "dev"),
    ],
)
def test_e_183_auto_reads_hints_and_says_which(environ: dict[str, str], mode: str) -> None:
    settings = resolve(Options(mode="auto"), environ)
    assert settings.mode == mode
    assert settings.mode_is_explicit is ("INNGEST_DEV" in environ)
    assert settings.mode_is_explicit or reason(settings, "mode").startswith("auto: ")


ORIGINS = {
    "INNGEST_API_BASE_URL": "https://api.test",
    "INNGEST_EVENT_API_BASE_URL": "https://event.test",
    "INNGEST_BASE_URL": "https://both.test",
    "INNGEST_DEV": "http://dev.test",
}


def test_origins_by_precedence() -> None:
    told = Options(
        api_base_url="https://told-api.test",
        event_api_base_url="https://told-event.test",
        base_url="https://told.test",
    )
    environ = dict(ORIGINS)
    assert origins(told, environ) == ("https://told-api.test", "https://told-event.test")
    assert origins(Options(base_url="https://told.test"), environ) == (
        "https://told.test",
        "https://told.test",
    )
    assert origins(Options(), environ) == ("https://api.test", "https://event.test")
    del environ["INNGEST_API_BASE_URL"], environ["INNGEST_EVENT_API_BASE_URL"]
    assert origins(Options(), environ) == ("https://both.test", "https://both.test")
    del environ["INNGEST_BASE_URL"]
    assert origins(Options(), environ) == ("http://dev.test", "http://dev.test")
    assert origins(Options(), {}) == ("https://api.inngest.com/", "https://inn.gs/")
    assert origins(Options(is_dev=True), {}) == ("http://127.0.0.1:8288/",) * 2


def origins(options: Options, environ: dict[str, str]) -> tuple[str, str]:
    settings = resolve(options, environ)
    return settings.api_origin, settings.event_origin


def test_a_base_url_does_not_change_the_mode() -> None:
    settings = resolve(Options(), {"INNGEST_BASE_URL": "http://self.test"})
    assert settings.mode == "cloud"
    assert reason(settings, "api_origin") == "INNGEST_BASE_URL"


@pytest.mark.parametrize(
    ("text", "mode", "origin"),
    [
        ("example.com", "cloud", "https://example.com"),
        ("example.com:81", "dev", "http://example.com:81"),
        ("http://inngest", "cloud", "http://inngest"),
        ("https://h.test/prefix", "cloud", "https://h.test/prefix"),
    ],
)
def test_origins_are_completed(text: str, mode: str, origin: str) -> None:
    assert parse_origin("x", text, mode) == origin  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["nowhere", "http://h.test?x=1", "http://h.test#a", "http://h.test:99999", "ws://h.t"]
)
def test_origins_that_are_none_name_the_setting(text: str) -> None:
    with pytest.raises(ConfigurationError, match="api_base_url is "):
        resolve(Options(api_base_url=text), {})


def test_keys_and_their_reasons() -> None:
    settings = resolve(
        Options(event_key="told"),
        {
            "INNGEST_EVENT_KEY": "unused",
            "INNGEST_SIGNING_KEY": "signkey-test-12345678",
            "INNGEST_SIGNING_KEY_FALLBACK": "",
        },
    )
    assert settings.event_key == "told"
    assert settings.signing_key == "signkey-test-12345678"
    assert settings.signing_key_fallback is None
    assert reason(settings, "signing_key") == "INNGEST_SIGNING_KEY"


def test_secrets_are_shown_as_fingerprints_only() -> None:
    settings = resolve(Options(event_key="ek", signing_key="sk"), {})
    shown = {d.name: d.shown for d in settings.decisions}
    assert shown["event_key"].startswith("sha256:")
    assert shown["signing_key"] != shown["event_key"]
    assert shown["signing_key_fallback"] == "not set"
    assert shown["mode"] == "cloud"


def test_e_190_branch_environments_in_their_order() -> None:
    names = (
        "INNGEST_ENV",
        "BRANCH_NAME",
        "VERCEL_GIT_COMMIT_REF",
        "BRANCH",
        "CF_PAGES_BRANCH",
        "RENDER_GIT_BRANCH",
        "RAILWAY_GIT_BRANCH",
    )
    environ = {name: name.lower() for name in names}
    assert resolve(Options(env="told"), environ).env == "told"
    for name in names:
        assert resolve(Options(), environ).env == name.lower()
        del environ[name]
    assert resolve(Options(), environ).env is None


@pytest.mark.parametrize(
    ("environ", "platform"),
    [
        ({"VERCEL": "1"}, "vercel"),
        ({"NETLIFY": "true"}, "netlify"),
        ({"NETLIFY": "no"}, None),
        ({"CF_PAGES": "1"}, "cloudflare-pages"),
        ({"RAILWAY_ENVIRONMENT": "x"}, "railway"),
        ({"RENDER": "true"}, "render"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "x"}, "aws-lambda"),
        ({"K_SERVICE": "x"}, "google-cloud-run"),
        ({"WEBSITE_INSTANCE_ID": "x"}, "azure-functions"),
        ({"DYNO": "web.1"}, "heroku"),
        ({"FLY_APP_NAME": "x"}, "fly"),
        ({"MODAL_TASK_ID": "x"}, "modal"),
        ({"__OW_ACTION_NAME": "x"}, "digitalocean"),
        ({"KUBERNETES_SERVICE_HOST": "x"}, "kubernetes"),
        ({}, None),
    ],
)
def test_e_193_platforms(environ: dict[str, str], platform: str | None) -> None:
    assert resolve(Options(), environ).platform == platform


def test_flags() -> None:
    assert [parse_flag("x", t) for t in ("1", "TRUE", "yes", "on")] == [True] * 4
    assert [parse_flag("x", t) for t in ("0", "False", "no", "off")] == [False] * 4
    with pytest.raises(ConfigurationError, match="x is 'maybe'"):
        parse_flag("x", "maybe")


def test_serving_by_default() -> None:
    settings = resolve_serve(ServeOptions(), {}, "cloud")
    assert settings.streaming is Streaming.DISABLE
    assert not settings.unauthed_sync
    assert settings.in_band_sync
    assert settings.threads_max is None
    assert not settings.trust_proxy


def test_serving_by_variables() -> None:
    environ = {
        "INNGEST_SERVE_HOST": "old.test",
        "INNGEST_SERVE_PATH": "x/inngest",
        "INNGEST_STREAMING": "Force",
        "INNGEST_ENABLE_UNAUTHED_SYNC": "true",
        "INNGEST_ALLOW_IN_BAND_SYNC": "0",
        "INNGEST_THREAD_POOL_MAX_WORKERS": "0",
        "STEPWELL_TRUST_PROXY": "1",
    }
    settings = resolve_serve(ServeOptions(), environ, "cloud")
    assert settings.serve_origin == "https://old.test"
    assert settings.serve_path == "/x/inngest"
    assert settings.streaming is Streaming.FORCE
    assert settings.unauthed_sync
    assert not settings.in_band_sync
    assert settings.threads_max == 0
    assert settings.trust_proxy
    assert resolve_serve(ServeOptions(), {}, "dev").unauthed_sync


def test_serving_by_arguments() -> None:
    environ = {"INNGEST_SERVE_ORIGIN": "https://a.test", "INNGEST_STREAMING": "force"}
    told = ServeOptions(
        serve_origin="http://b.test",
        streaming=Streaming.DISABLE,
        enable_unauthed_sync=False,
        trust_proxy=False,
    )
    settings = resolve_serve(told, environ, "cloud")
    assert settings.serve_origin == "http://b.test"
    assert settings.streaming is Streaming.DISABLE
    assert not settings.unauthed_sync


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INNGEST_STREAMING", "sometimes"),
        ("INNGEST_THREAD_POOL_MAX_WORKERS", "-1"),
        ("INNGEST_THREAD_POOL_MAX_WORKERS", "many"),
        ("INNGEST_ENABLE_UNAUTHED_SYNC", "perhaps"),
    ],
)
def test_serving_with_nonsense_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        resolve_serve(ServeOptions(), {name: value}, "cloud")


def test_streaming_that_is_allowed_needs_a_platform_that_passes_pieces_on() -> None:
    allowed = ServeOptions(streaming=Streaming.ALLOW)
    for environ, found in (
        ({}, Streaming.DISABLE),
        ({"DYNO": "web.1"}, Streaming.DISABLE),
        ({"VERCEL": "1"}, Streaming.ALLOW),
        ({"CF_PAGES": "1"}, Streaming.ALLOW),
    ):
        assert resolve_serve(allowed, environ, "dev").streaming is found
        said = {**environ, "INNGEST_STREAMING": "allow"}
        assert resolve_serve(ServeOptions(), said, "dev").streaming is found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (True, Streaming.FORCE),
        (False, Streaming.DISABLE),
        ("force", Streaming.FORCE),
        ("allow", Streaming.ALLOW),
        ("disable", Streaming.DISABLE),
    ],
)
def test_streaming_may_be_said_by_its_word_or_yes_and_no(given: Any, found: Streaming) -> None:
    environ = {"VERCEL": "1", "INNGEST_STREAMING": "force" if given is False else "disable"}
    assert resolve_serve(ServeOptions(streaming=given), environ, "dev").streaming is found


@pytest.mark.parametrize("given", [1, "always", object()])
def test_streaming_that_is_none_of_these_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"streaming = .*: give Streaming\.FORCE"):
        resolve_serve(ServeOptions(streaming=given), {}, "dev")
