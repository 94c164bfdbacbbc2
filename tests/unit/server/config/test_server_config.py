"""Where a server's settings come from, and what is said about those nobody can use."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from stepwell.server.config import (
    Command,
    ConfigError,
    Postgres,
    ServerConfig,
    Surroundings,
    server_config,
    settings_of,
)
from stepwell.server.config.setting import SETTINGS
from stepwell.server.config.value import Written

KEYS: Mapping[str, Written] = {"signing-key": "signkey-prod-12ab", "event-key": ("k1",)}


def around(tmp_path: Path, environment: Mapping[str, str] | None = None) -> Surroundings:
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True, exist_ok=True)
    return Surroundings(environment or {}, folder, tmp_path / "home")


def dev(tmp_path: Path, flags: Mapping[str, Written] | None = None, **env: str) -> ServerConfig:
    return server_config(Command.DEV, flags or {}, around(tmp_path, env))


def start(tmp_path: Path, flags: Mapping[str, Written], **env: str) -> ServerConfig:
    return server_config(Command.START, flags, around(tmp_path, env))


def problems_of(tmp_path: Path, flags: Mapping[str, Written], **env: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        dev(tmp_path, flags, **env)
    return caught.value.problems


def test_what_development_does_when_nobody_said_anything(tmp_path: Path) -> None:
    config = dev(tmp_path)
    assert (config.host, config.port, config.kind) == ("localhost", 8288, "dev")
    assert (config.poll, config.discovery, config.poll_interval_s) == (True, True, 5)
    assert (config.durability, config.database) == ("relaxed", None)
    assert (config.signing_keys, config.event_keys) == ((), ())
    assert config.retry_interval_ms is None
    assert config.connections_max is None


def test_w25_how_many_workers_may_be_connected_can_be_limited(tmp_path: Path) -> None:
    assert dev(tmp_path, {"connections-max": "3"}).connections_max == 3
    assert "connections-max" in problems_of(tmp_path, {"connections-max": "-1"})[0]


def test_what_production_does_when_told_its_keys(tmp_path: Path) -> None:
    config = start(tmp_path, KEYS)
    assert (config.host, config.kind, config.durability) == ("0.0.0.0", "cloud", "full")
    assert (config.poll, config.discovery) == (False, False)
    assert config.signing_key == "signkey-prod-12ab"
    assert config.database == Path(".stepwell/stepwell.db")


def test_flag_then_environment_then_file_then_default(tmp_path: Path) -> None:
    place = around(tmp_path)
    (place.folder.parent / "inngest.json").write_text(json.dumps({"port": 1, "queue-workers": 7}))
    assert dev(tmp_path).port == 1
    assert dev(tmp_path, INNGEST_PORT="2").port == 2
    assert dev(tmp_path, INNGEST_PORT="2", STEPWELL_PORT="3").port == 3
    config = dev(tmp_path, {"port": 4}, INNGEST_PORT="2", STEPWELL_PORT="3")
    assert config.port == 4
    assert config.queue_workers == 7
    origins = {line.flag: line.origin for line in config.shown}
    assert origins["port"] == "flag"
    assert origins["config"] == "found"
    assert origins["queue-workers"] == str(place.folder.parent / "inngest.json")


@pytest.mark.parametrize("name", ["inngest.yaml", "inngest.yml", "stepwell.yaml"])
def test_a_yaml_file_is_read(tmp_path: Path, name: str) -> None:
    (around(tmp_path).folder / name).write_text("sdk-url: [http://a/x]\nno-poll: true\n")
    config = dev(tmp_path)
    assert (config.sdk_urls, config.poll) == (("http://a/x",), False)


def test_the_users_own_file_is_the_last_resort(tmp_path: Path) -> None:
    home = tmp_path / "home/.config/inngest"
    home.mkdir(parents=True)
    (home / "inngest.json").write_text('{"port": 9}')
    assert dev(tmp_path).port == 9


def test_lists_may_be_written_with_commas(tmp_path: Path) -> None:
    config = start(tmp_path, {}, INNGEST_SIGNING_KEY="12ab", INNGEST_EVENT_KEY="a, b,")
    assert config.event_keys == ("a", "b")
    flags = {**KEYS, "event-key": ("a,b", "c"), "sdk-url": ("http://a/x, http://b/x",)}
    config = start(tmp_path, flags)
    assert config.event_keys == ("a", "b", "c")
    assert config.sdk_urls == ("http://a/x", "http://b/x")


def test_keys_of_the_environment_are_the_apps_business_in_development(tmp_path: Path) -> None:
    assert dev(tmp_path, INNGEST_SIGNING_KEY="12ab", INNGEST_EVENT_KEY="k").signing_keys == ()
    assert dev(tmp_path, {"signing-key": "12ab"}).signing_keys == ("12ab",)


def test_both_keys_of_a_rotation_are_known(tmp_path: Path) -> None:
    config = start(tmp_path, {**KEYS, "signing-key-fallback": "cd34"})
    assert config.signing_keys == ("signkey-prod-12ab", "cd34")


def test_production_without_keys_is_refused_with_both_reasons(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        start(tmp_path, {})
    first, second = caught.value.problems
    assert first.startswith("signing-key is required")
    assert "INNGEST_SIGNING_KEY" in first
    assert second.startswith("at least one event-key is required")


@pytest.mark.parametrize("key", ["xyz", "123", "signkey-prod-", "12 ab"])
def test_a_key_of_the_wrong_form_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(
        ConfigError, match=r"signing-key \(flag\): the key cannot be used"
    ) as caught:
        start(tmp_path, {**KEYS, "signing-key": key})
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "env", "said"),
    [
        ({"port": 70000}, {}, "port (--port): 70000 cannot be used; write a whole number between"),
        ({}, {"INNGEST_TICK": "soon"}, "tick (INNGEST_TICK): 'soon' cannot be used"),
        ({"durability": "maybe"}, {}, "choose one of full, relaxed"),
        ({"sdk-url": ("localhost:3000",)}, {}, "'localhost:3000' is no URL; write it like http://"),
        ({}, {"INNGEST_NO_POLL": "perhaps"}, "write true or false"),
        ({"config": "gone.json"}, {}, "config: there is no file"),
        ({"postgres-uri": "mysql://u:secret@h/d"}, {}, "write it like postgresql://user:password@"),
        ({"retention": "long"}, {}, "write a number between 0 and 36500 (days)"),
    ],
)
def test_a_bad_value_is_told_with_name_value_and_fix(
    tmp_path: Path, flags: Mapping[str, Written], env: dict[str, str], said: str
) -> None:
    (problem,) = problems_of(tmp_path, flags, **env)
    assert said in problem
    assert "secret" not in problem


def test_records_may_be_kept_in_postgresql(tmp_path: Path) -> None:
    uri = "postgresql://ann:secret@db/stepwell"
    flags: dict[str, Written] = {
        "postgres-uri": uri,
        "postgres-max-idle-conns": 3,
        "postgres-conn-max-idle-time": 0,
        "persist": True,
    }
    config = dev(tmp_path, flags)
    assert config.postgres == Postgres(uri, 3, 100, 0.0, 1_800.0)
    assert config.database is None
    assert "secret" not in str(config.shown)
    assert config.notices == ("persist (flag) has no effect: everything is kept in PostgreSQL",)
    without = dev(tmp_path, {"postgres-max-open-conns": 3})
    assert without.postgres is None
    (notice,) = without.notices
    assert notice == "postgres-max-open-conns (flag) has no effect: there is no --postgres-uri"


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    assert len(problems_of(tmp_path, {"port": -1, "tick": 0, "durability": "no"})) == 3


def test_an_unknown_key_of_a_file_is_told(tmp_path: Path) -> None:
    (around(tmp_path).folder / "inngest.json").write_text('{"prot": 1}')
    (problem,) = problems_of(tmp_path, {})
    assert problem.startswith("prot (")
    assert "there is no such setting" in problem


@pytest.mark.parametrize("text", ["{", "[1]", '{"port": {"a": 1}}'])
def test_a_file_nobody_can_read_is_told(tmp_path: Path, text: str) -> None:
    (around(tmp_path).folder / "inngest.json").write_text(text)
    (problem,) = problems_of(tmp_path, {})
    assert "cannot be read" in problem


def test_a_setting_of_the_other_command_in_a_shared_file_is_no_error(tmp_path: Path) -> None:
    (around(tmp_path).folder / "inngest.json").write_text('{"persist": true}')
    assert start(tmp_path, KEYS).persist is False


def test_flags_with_nothing_to_do_are_accepted_and_named(tmp_path: Path) -> None:
    config = start(tmp_path, {**KEYS, "redis-uri": "redis://x"})
    (notice,) = config.notices
    assert notice.startswith("redis-uri (flag) has no effect: queue and run state are in the")
    assert "redis-uri" not in {line.flag for line in config.shown}


def test_a_directory_nothing_is_kept_in_is_named(tmp_path: Path) -> None:
    (notice,) = dev(tmp_path, {"sqlite-dir": "here"}).notices
    assert notice == "sqlite-dir (flag) has no effect: nothing is kept without --persist"
    assert dev(tmp_path, {"sqlite-dir": "here", "persist": True}).notices == ()
    assert start(tmp_path, {**KEYS, "sqlite-dir": "here"}).notices == ()


def test_secrets_are_shown_as_fingerprints(tmp_path: Path) -> None:
    shown = {line.flag: line.value for line in start(tmp_path, KEYS).shown}
    assert shown["signing-key"].startswith("sha256:")
    assert shown["event-key"] != "k1"
    assert shown["signing-key-fallback"] == "not set"
    assert shown["retention"] == "30 days"


def test_inside_a_container_every_interface_is_listened_on(tmp_path: Path) -> None:
    place = Surroundings({}, tmp_path, tmp_path, in_container=True)
    assert server_config(Command.DEV, {}, place).host == "0.0.0.0"
    assert server_config(Command.DEV, {"host": "127.0.0.1"}, place).host == "127.0.0.1"


def test_a_container_that_is_open_to_everybody_says_so_loudly(tmp_path: Path) -> None:
    place = Surroundings({}, tmp_path, tmp_path, in_container=True)
    (notice,) = server_config(Command.DEV, {}, place).notices
    assert "WHOEVER REACHES THIS PORT" in notice and "127.0.0.1:8288" in notice
    for flags in ({"host": "0.0.0.0"}, {"host": "127.0.0.1"}, {"signing-key": "abcd"}):
        assert server_config(Command.DEV, flags, place).notices == ()
    assert server_config(Command.START, KEYS, place).notices == ()


def test_names_and_networks_are_checked(tmp_path: Path) -> None:
    config = dev(
        tmp_path,
        {
            "allowed-host": "a.example,.b.example,*,fd00::1",
            "fetch-deny": "internal,10.0.0.0/8",
            "fetch-allow": "10.1.2.3",
            "http-connections-max": 7,
            "body-memory": 65,
        },
    )
    assert config.allowed_hosts == ("a.example", ".b.example", "*", "fd00::1")
    assert config.fetch_deny == ("internal", "10.0.0.0/8")
    assert config.fetch_allow == ("10.1.2.3",)
    assert config.http_connections_max == 7
    assert config.body_memory_bytes == 65 * 1024 * 1024
    assert start(tmp_path, KEYS).fetch_deny == ("internal",)
    assert start(tmp_path, {**KEYS, "fetch-deny": "none"}).fetch_deny == ("none",)
    assert dev(tmp_path, {}).fetch_deny == ()
    for flag, value in (
        ("allowed-host", "http://a.example"),
        ("allowed-host", "a.example:80"),
        ("fetch-deny", "localhost"),
        ("fetch-allow", "internal"),
        ("http-connections-max", 0),
        ("body-memory", 63),
    ):
        with pytest.raises(ConfigError, match=flag):
            dev(tmp_path, {flag: value})


def test_intervals_are_milliseconds_and_zero_is_the_default(tmp_path: Path) -> None:
    config = dev(tmp_path, {"retry-interval": 2, "poll-interval": 0, "retention": "0"})
    assert (config.retry_interval_ms, config.poll_interval_s, config.retention_ms) == (
        2000,
        5,
        None,
    )


def test_the_official_flags_are_all_known() -> None:
    official = {
        *("config", "host", "port", "sdk-url", "no-discovery", "no-poll", "persist", "signing-key"),
        *("event-key", "sqlite-dir", "postgres-uri", "postgres-max-idle-conns", "redis-uri"),
        *("postgres-max-open-conns", "postgres-conn-max-idle-time", "postgres-conn-max-lifetime"),
        *("poll-interval", "retry-interval", "queue-workers", "tick", "connect-gateway-port"),
        *("connect-gateway-grpc-port", "connect-gateway-grpc-ip", "connect-executor-grpc-port"),
        *("connect-executor-grpc-ip", "no-ui", "debug-api-port", "system-trace-endpoint"),
        "system-trace-url-path",
    }
    assert official <= {setting.flag for setting in SETTINGS}
    assert not {"persist", "no-poll"} & {setting.flag for setting in settings_of(Command.START)}
