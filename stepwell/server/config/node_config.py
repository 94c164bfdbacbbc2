"""The only place that decides how a server is set: flag, then environment, then file, then default.

Nothing here reads the process by itself: environment, working directory and home come in. All
problems are told at once.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

import msgspec

from stepwell.server.config.file import find_file, read_file
from stepwell.server.config.network import problem_of
from stepwell.server.config.setting import Command, Kind, Setting, Value, settings_of
from stepwell.server.config.value import SettingError, Written, value_of

POLL_INTERVAL_DEFAULT_S = 5
_NAME = re.compile(r"\*|\.?[\w-]+(\.[\w-]+)*|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE)
"""A host name, all names below one, an IPv6 address, or any."""
DATABASE_NAME = "stepwell.db"
CONTAINER = "container"
OPEN_IN_CONTAINER = (
    "this is a container, so every interface is listened on, and nobody needs a key: WHOEVER"
    " REACHES THIS PORT CAN READ RUNS AND HAVE THIS SERVER CALL ANY ADDRESS. Publish it to your own"
    " machine alone (docker run -p 127.0.0.1:8288:8288), or set --signing-key; --host 0.0.0.0 says"
    " that it is meant"
)
_SCHEMES = ("postgresql://", "postgres://")
_OF_POSTGRES = (
    *("postgres_max_idle_conns", "postgres_max_open_conns"),
    *("postgres_conn_max_idle_time", "postgres_conn_max_lifetime"),
)
DAY_MS = 86_400_000
MIB = 1_048_576
# In development these variables are meant for the app's SDK, which signs nothing there.
SDK_VARIABLES = frozenset({"signing-key", "signing-key-fallback", "event-key"})


class ConfigError(ValueError):
    """A server cannot be run with these settings. `problems` holds one sentence for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """All problems found."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Surroundings(msgspec.Struct, frozen=True):
    """What the process knows: its environment, where it stands, and whether it is a container."""

    environment: Mapping[str, str]
    folder: Path
    home: Path
    in_container: bool = False


class Shown(msgspec.Struct, frozen=True):
    """One line of the start-up table."""

    flag: str
    value: str
    origin: str


class Postgres(msgspec.Struct, frozen=True):
    """A PostgreSQL database, and how many connections to it are kept idle and open at most, how
    long one may idle, and how long one is used. 0 is no limit, but for `idle_max`."""

    uri: str
    idle_max: int = 10
    open_max: int = 100
    idle_s: float = 300.0
    life_s: float = 1_800.0


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of a server, checked. Times carry their unit in the name."""

    command: Command = Command.DEV
    host: str = "localhost"
    port: int = 8288
    sdk_urls: tuple[str, ...] = ()
    discovery: bool = False
    poll: bool = False
    poll_interval_s: int = POLL_INTERVAL_DEFAULT_S
    persist: bool = False
    signing_keys: tuple[str, ...] = ()
    event_keys: tuple[str, ...] = ()
    sqlite_dir: str = ".stepwell"
    postgres: Postgres | None = None
    durability: Literal["full", "relaxed"] = "relaxed"
    retention_ms: int | None = None
    retry_interval_ms: int | None = None
    unserved_ms: int | None = None
    queue_workers: int = 100
    cron_catch_up: Literal["skip", "one", "all"] = "one"
    connect_gateway_port: int = 8289
    connections_max: int | None = None
    http_connections_max: int = 4_096
    body_memory_bytes: int = 256 * MIB
    api_rate: int = 100
    allowed_hosts: tuple[str, ...] = ()
    ui: bool = True
    fetch_deny: tuple[str, ...] = ()
    fetch_allow: tuple[str, ...] = ()
    trace_url: str = ""
    shown: tuple[Shown, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["dev", "cloud"]:
        """What the server tells its peers to be (`X-Inngest-Server-Kind`)."""
        return "dev" if self.command is Command.DEV else "cloud"

    @property
    def database(self) -> Path | None:
        """The database file; None where there is none that outlives the process."""
        if self.postgres is not None:
            return None
        if self.command is Command.DEV and not self.persist:
            return None
        return Path(self.sqlite_dir) / DATABASE_NAME

    @property
    def signing_key(self) -> str | None:
        """The key that signs calls, or None where nothing is signed."""
        return self.signing_keys[0] if self.signing_keys else None


class _Found(msgspec.Struct, frozen=True):
    setting: Setting
    value: Value
    origin: str


def server_config(
    command: Command, flags: Mapping[str, Written], around: Surroundings
) -> ServerConfig:
    """How a server is set. `flags` holds what the command line said, by flag; None is "not said".

    Raises `ConfigError` with every problem: each names the setting, the value and the fix.
    """
    problems: list[str] = []
    found: dict[str, _Found] = {}
    filed, file_origin = _filed(flags, around, problems)
    known = settings_of(command)
    for setting in known:
        try:
            found[setting.field] = _look_up(setting, command, flags, around, filed, file_origin)
        except SettingError as error:
            problems.append(str(error))
    strangers = filed.keys() - {setting.flag for setting in known} - _flags_of_either()
    problems += [
        f"{name} ({file_origin}): there is no such setting; see stepwell {command} --help"
        for name in sorted(strangers)
    ]
    problems += _contradictions(command, found)
    if problems:
        raise ConfigError(tuple(problems))
    if file_origin and "config" in found:
        origin = found["config"].origin.replace("default", "found")
        found["config"] = _Found(found["config"].setting, file_origin, origin)
    return _assembled(command, found)


def _flags_of_either() -> set[str]:
    return {setting.flag for command in Command for setting in settings_of(command)}


def _filed(
    flags: Mapping[str, Written], around: Surroundings, problems: list[str]
) -> tuple[Mapping[str, Written], str]:
    asked = flags.get("config") or next(
        (
            around.environment[name]
            for name in ("STEPWELL_CONFIG", "INNGEST_CONFIG")
            if around.environment.get(name)
        ),
        None,
    )
    try:
        path = find_file(cast("str | None", asked), around.folder, around.home)
        return ({}, "") if path is None else (read_file(path), str(path))
    except SettingError as error:
        problems.append(str(error))
        return {}, ""


def _look_up(
    setting: Setting,
    command: Command,
    flags: Mapping[str, Written],
    around: Surroundings,
    filed: Mapping[str, Written],
    file_origin: str,
) -> _Found:
    if (written := flags.get(setting.flag)) is not None:
        return _Found(setting, value_of(setting, written, f"--{setting.flag}"), "flag")
    if command is Command.START or setting.flag not in SDK_VARIABLES:
        for name in setting.variables:
            if text := around.environment.get(name, "").strip():
                return _Found(setting, value_of(setting, text, name), name)
    if (written := filed.get(setting.flag)) is not None:
        return _Found(setting, value_of(setting, written, file_origin), file_origin)
    if setting.flag == "host" and around.in_container:
        # Inside a container nobody could reach a server on the loopback address.
        return _Found(setting, "0.0.0.0", CONTAINER)  # noqa: S104
    return _Found(setting, setting.default_of(command), "default")


def _contradictions(command: Command, found: Mapping[str, _Found]) -> list[str]:
    problems: list[str] = []
    for field in ("signing_key", "signing_key_fallback"):
        key = found.get(field)
        if key is not None and key.value is not None and not _is_key(str(key.value)):
            problems.append(
                f"{key.setting.flag} ({key.origin}): the key cannot be used; it must be hexadecimal"
                " with an even number of digits, with or without signkey-<env>- before it"
            )
    if "sdk_url" in found:
        problems += [
            f"sdk-url ({found['sdk_url'].origin}): {url!r} is no URL; write it like"
            " http://localhost:3000/api/inngest"
            for url in cast("tuple[str, ...]", found["sdk_url"].value)
            if not _is_url(url)
        ]
    if "allowed_host" in found:
        problems += [
            f"allowed-host ({found['allowed_host'].origin}): {name!r} is no host name; write it"
            " without scheme, port and path, such as stepwell.example.com"
            for name in cast("tuple[str, ...]", found["allowed_host"].value)
            if not _NAME.fullmatch(name)
        ]
    problems += _bad_networks(found)
    url = _trace_url(found) if "system_trace_endpoint" in found else ""
    if url and not _is_url(url):
        problems.append(
            f"system-trace-endpoint ({found['system_trace_endpoint'].origin}): {url!r} is no URL;"
            " write it like http://127.0.0.1:4318"
        )
    if command is Command.START:
        problems += _missing_keys(found)
    postgres = found.get("postgres_uri")
    if postgres is not None and not str(postgres.value or _SCHEMES[0]).startswith(_SCHEMES):
        problems.append(
            f"postgres-uri ({postgres.origin}): that is no address of a database; write it like"
            " postgresql://user:password@host:5432/database"
        )
    return problems


def _bad_networks(found: Mapping[str, _Found]) -> list[str]:
    return [
        f"{entry.setting.flag} ({entry.origin}): {problem}"
        for field in ("fetch_deny", "fetch_allow")
        if (entry := found.get(field)) is not None
        for word in cast("tuple[str, ...]", entry.value)
        if (problem := problem_of(word, denies=field == "fetch_deny"))
    ]


def _missing_keys(found: Mapping[str, _Found]) -> list[str]:
    problems: list[str] = []
    if "signing_key" in found and found["signing_key"].value is None:
        problems.append(
            "signing-key is required: pass --signing-key or set INNGEST_SIGNING_KEY to the key the"
            " apps have (make one with: openssl rand -hex 32)"
        )
    if "event_key" in found and not found["event_key"].value:
        problems.append(
            "at least one event-key is required: pass --event-key or set INNGEST_EVENT_KEY to the"
            " key the senders of events have"
        )
    return problems


def _is_key(text: str) -> bool:
    _, _, digits = text.rpartition("-") if text.startswith("signkey-") else ("", "", text)
    try:
        return bool(bytes.fromhex(digits)) and " " not in digits
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _trace_url(found: Mapping[str, _Found]) -> str:
    """Where traces go: an address with or without a scheme, and a path; empty for nowhere."""
    endpoint = str(found["system_trace_endpoint"].value or "").strip("/")
    if not endpoint:
        return ""
    whole = endpoint if "://" in endpoint else f"http://{endpoint}"
    return f"{whole}/{str(found['system_trace_url_path'].value).strip('/')}"


def _assembled(command: Command, found: Mapping[str, _Found]) -> ServerConfig:
    def number(field: str) -> int:
        return int(cast("int", found[field].value))

    def switched(field: str) -> bool:
        return field in found and bool(found[field].value)

    days = float(cast("float", found["retention"].value))
    keys = (found["signing_key"].value, found["signing_key_fallback"].value)
    return ServerConfig(
        command=command,
        host=str(found["host"].value),
        port=number("port"),
        sdk_urls=cast("tuple[str, ...]", found["sdk_url"].value),
        discovery=command is Command.DEV and not switched("no_discovery"),
        poll=command is Command.DEV and not switched("no_poll"),
        poll_interval_s=number("poll_interval") or POLL_INTERVAL_DEFAULT_S,
        persist=switched("persist"),
        signing_keys=tuple(str(key) for key in keys if key),
        event_keys=cast("tuple[str, ...]", found["event_key"].value),
        sqlite_dir=str(found["sqlite_dir"].value),
        postgres=_postgres(found),
        durability=cast("Literal['full', 'relaxed']", found["durability"].value),
        retention_ms=int(days * DAY_MS) or None,
        retry_interval_ms=number("retry_interval") * 1_000 or None,
        unserved_ms=number("unserved_timeout") * 1_000 or None,
        queue_workers=number("queue_workers"),
        cron_catch_up=cast("Literal['skip', 'one', 'all']", found["cron_catch_up"].value),
        connect_gateway_port=number("connect_gateway_port"),
        connections_max=number("connections_max") or None,
        ui=not switched("no_ui"),
        http_connections_max=number("http_connections_max"),
        body_memory_bytes=number("body_memory") * MIB,
        api_rate=number("api_rate"),
        allowed_hosts=cast("tuple[str, ...]", found["allowed_host"].value),
        fetch_deny=cast("tuple[str, ...]", found["fetch_deny"].value),
        fetch_allow=cast("tuple[str, ...]", found["fetch_allow"].value),
        trace_url=_trace_url(found),
        shown=tuple(_shown(entry) for entry in found.values() if not entry.setting.idle),
        notices=_notices(command, found, persist=switched("persist")),
    )


def _postgres(found: Mapping[str, _Found]) -> Postgres | None:
    uri = found["postgres_uri"].value
    if uri is None:
        return None

    def number(field: str) -> int:
        return int(cast("int", found[f"postgres_{field}"].value))

    return Postgres(
        str(uri),
        number("max_idle_conns"),
        number("max_open_conns"),
        number("conn_max_idle_time") * 60.0,
        number("conn_max_lifetime") * 60.0,
    )


def _notices(command: Command, found: Mapping[str, _Found], *, persist: bool) -> tuple[str, ...]:
    """What was set and changes nothing, so that nobody counts on it."""
    why = {entry.setting.field: entry.setting.idle for entry in found.values()}
    if found["postgres_uri"].value is None:
        why |= dict.fromkeys(_OF_POSTGRES, "there is no --postgres-uri")
        if command is Command.DEV and not persist:
            why["sqlite_dir"] = "nothing is kept without --persist"
    else:
        why |= dict.fromkeys(("sqlite_dir", "persist"), "everything is kept in PostgreSQL")
    idle = tuple(
        f"{entry.setting.flag} ({entry.origin}) has no effect: {why[field]}"
        for field, entry in found.items()
        if why[field] and entry.origin != "default"
    )
    is_open = command is Command.DEV and found["host"].origin == CONTAINER
    return (*idle, OPEN_IN_CONTAINER) if is_open and not found["signing_key"].value else idle


def fingerprint(secret: str) -> str:
    """What may be printed of a secret: enough to see whether two are the same."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}"


def _shown(entry: _Found) -> Shown:
    return Shown(entry.setting.flag, _text_of(entry), entry.origin)


def _text_of(entry: _Found) -> str:
    value = entry.value
    if value is None or value == ():
        return "not set"
    values = value if isinstance(value, tuple) else (value,)
    if entry.setting.secret:
        return ", ".join(fingerprint(str(one)) for one in values)
    if entry.setting.kind is Kind.SWITCH:
        return "yes" if value else "no"
    unit = f" {entry.setting.unit}" if entry.setting.unit else ""
    return ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values) + unit
