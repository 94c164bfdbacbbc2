"""The only list of what an operator may set: flag, meaning, default, and which command knows it.

The command line, the environment variables, the configuration file and the printed table are all
made from this list. Flags of ours say so in their help.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

Value: TypeAlias = "str | int | float | bool | tuple[str, ...] | None"


class Kind(StrEnum):
    """What a setting's value is."""

    TEXT = "text"
    NUMBER = "number"
    FRACTION = "fraction"
    SWITCH = "switch"
    LIST = "list"
    CHOICE = "choice"


class Command(StrEnum):
    """The two ways to run a server."""

    DEV = "dev"
    START = "start"


BOTH = frozenset({Command.DEV, Command.START})
DEV = frozenset({Command.DEV})
START = frozenset({Command.START})


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One thing an operator may set.

    `low` and `high` bound numbers; `idle` says why a flag of the official server has nothing to do
    in this one (it is accepted, so that a team can swap the command).
    """

    flag: str
    help: str
    kind: Kind = Kind.TEXT
    default: Value = None
    default_start: Value = None
    commands: frozenset[Command] = BOTH
    short: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    secret: bool = False
    idle: str = ""

    @property
    def field(self) -> str:
        """The name of the value in code, such as `poll_interval`."""
        return self.flag.replace("-", "_")

    @property
    def variables(self) -> tuple[str, str]:
        """The environment variables that set it; the first that is set counts."""
        name = self.field.upper()
        return f"STEPWELL_{name}", f"INNGEST_{name}"

    def default_of(self, command: Command) -> Value:
        """Its value where nobody set it."""
        if command is Command.START and self.default_start is not None:
            return self.default_start
        return self.default


_NO_GRPC = "this server is one process and needs no internal ports"
_OPEN_CONNECTIONS = "Connections to read with at most, besides three of its own; 0 is no limit"

SETTINGS: tuple[Setting, ...] = (
    Setting(flag="config", help="Path of the configuration file"),
    Setting(
        flag="host",
        help="Address to listen on; 0.0.0.0 for every interface (the default inside a container)",
        default="localhost",
        default_start="0.0.0.0",  # noqa: S104 - a production server is asked from outside
    ),
    Setting(
        flag="port",
        short="p",
        kind=Kind.NUMBER,
        default=8288,
        low=0,
        high=65535,
        help="Port of events and APIs; 0 takes a free one",
    ),
    Setting(
        flag="sdk-url",
        short="u",
        kind=Kind.LIST,
        default=(),
        help="URL of an app to sync, such as http://localhost:3000/api/inngest; may be repeated",
    ),
    Setting(
        flag="no-discovery",
        kind=Kind.SWITCH,
        default=False,
        commands=DEV,
        help="Do not look for apps on common local ports",
    ),
    Setting(
        flag="no-poll",
        kind=Kind.SWITCH,
        default=False,
        commands=DEV,
        help="Do not ask known apps again and again for changed functions",
    ),
    Setting(
        flag="poll-interval",
        kind=Kind.NUMBER,
        default=5,
        low=0,
        high=86_400,
        unit="seconds",
        help="Time between two looks at the apps; 0 means 5. `start` only looks at apps in error",
    ),
    Setting(
        flag="persist",
        kind=Kind.SWITCH,
        default=False,
        commands=DEV,
        help="Keep the database between runs of the command",
    ),
    Setting(
        flag="signing-key",
        secret=True,
        help="Key that signs calls and opens the APIs: hexadecimal, with or without signkey-<env>-;"
        " `start` needs one",
    ),
    Setting(
        flag="signing-key-fallback",
        secret=True,
        help="A second key the APIs accept while keys are rotated (ours)",
    ),
    Setting(
        flag="event-key",
        kind=Kind.LIST,
        default=(),
        secret=True,
        help="Key that may send events; may be repeated; `start` needs one",
    ),
    Setting(flag="sqlite-dir", default=".stepwell", help="Directory of the database"),
    Setting(
        flag="durability",
        kind=Kind.CHOICE,
        default="relaxed",
        default_start="full",
        choices=("full", "relaxed"),
        help="full: on disk before it is acknowledged. relaxed: survives a killed process, not a"
        " lost machine (ours)",
    ),
    Setting(
        flag="retention",
        kind=Kind.FRACTION,
        default=7.0,
        default_start=30.0,
        low=0,
        high=36_500,
        unit="days",
        help="How long ended runs, their events, and removed functions without runs are kept; 0"
        " keeps everything (ours)",
    ),
    Setting(
        flag="retry-interval",
        kind=Kind.NUMBER,
        default=0,
        low=0,
        high=86_400,
        unit="seconds",
        help="Constant time between attempts; 0 follows the schedule 15 s, 30 s, 1 m, … 2 h",
    ),
    Setting(
        flag="unserved-timeout",
        kind=Kind.NUMBER,
        default=0,
        low=0,
        high=31_536_000,
        unit="seconds",
        help="How long a run waits for its function when its app no longer serves it, before it"
        " fails; 0 waits for ever (ours)",
    ),
    Setting(
        flag="queue-workers",
        kind=Kind.NUMBER,
        default=100,
        low=1,
        high=100_000,
        help="How many calls of one app may be under way at once",
    ),
    Setting(
        flag="tick",
        kind=Kind.NUMBER,
        default=150,
        low=1,
        high=60_000,
        unit="milliseconds",
        help="Pause between two looks at the queue",
        idle="work is taken up the moment it falls due",
    ),
    Setting(
        flag="cron-catch-up",
        kind=Kind.CHOICE,
        default="one",
        choices=("skip", "one", "all"),
        help="What becomes of schedules that fell due while no server ran: none, the latest, or"
        " each of them (ours)",
    ),
    Setting(
        flag="connect-gateway-port",
        kind=Kind.NUMBER,
        default=8289,
        low=0,
        high=65535,
        help="Port for workers that connect by WebSocket",
    ),
    Setting(
        flag="connections-max",
        kind=Kind.NUMBER,
        default=0,
        low=0,
        high=1_000_000,
        help="How many workers may be connected at once; 0 is no limit (ours)",
    ),
    Setting(
        flag="allowed-host",
        kind=Kind.LIST,
        default=(),
        help="Name this server may be asked by, besides localhost and the address it listens on;"
        " .example.com stands for every name below it, * for any. `dev` refuses others (421),"
        " `start` if one is given (ours); may be repeated",
    ),
    Setting(
        flag="fetch-deny",
        kind=Kind.LIST,
        default=(),
        default_start=("internal",),
        help="Network that step.fetch and step.ai.infer may not reach, such as 10.0.0.0/8;"
        " `internal` is every address that is not the public internet's, `none` denies nothing"
        " (ours); may be repeated",
    ),
    Setting(
        flag="fetch-allow",
        kind=Kind.LIST,
        default=(),
        help="Network they may reach even so, such as 10.1.2.3/32 (ours); may be repeated",
    ),
    Setting(
        flag="http-connections-max",
        kind=Kind.NUMBER,
        default=4_096,
        low=1,
        high=1_000_000,
        help="How many connections to the port of events and APIs may be open at once; one more is"
        " answered 503. Half of the process's file descriptors is the most (ours)",
    ),
    Setting(
        flag="body-memory",
        kind=Kind.NUMBER,
        default=256,
        low=64,
        high=1_000_000,
        unit="MiB",
        help="How much memory the bodies of all requests together may take; a request whose body"
        " does not fit is answered 503 (ours)",
    ),
    Setting(
        flag="api-rate",
        help="How many requests a second one API key may make, or one address without a key; four"
        " times as many at once. 0 is no limit, and there is none for the signing key (ours)",
        kind=Kind.NUMBER,
        default=100,
        low=0,
        high=100_000,
    ),
    Setting(
        flag="no-ui",
        kind=Kind.SWITCH,
        default=False,
        help="Serve the APIs alone, without the dashboard",
    ),
    Setting(
        flag="postgres-uri",
        secret=True,
        help="PostgreSQL database to keep everything in, in place of SQLite, as"
        " postgresql://user:password@host:5432/database; needs pip install 'stepwell[postgres]'",
    ),
    *(
        Setting(flag=flag, kind=Kind.NUMBER, default=default, help=text, low=0, unit=unit)
        for flag, default, unit, text in (
            ("postgres-max-idle-conns", 10, "", "Idle connections to keep"),
            ("postgres-max-open-conns", 100, "", _OPEN_CONNECTIONS),
            ("postgres-conn-max-idle-time", 5, "minutes", "How long one may idle; 0 is no limit"),
            ("postgres-conn-max-lifetime", 30, "minutes", "How long one is used; 0 is no limit"),
        )
    ),
    Setting(
        flag="redis-uri",
        secret=True,
        help="Queue of the official server",
        idle="queue and run state are in the database and survive a restart",
    ),
    *(
        Setting(flag=flag, kind=kind, default=default, help=text, idle=_NO_GRPC)
        for flag, kind, default, text in (
            ("connect-gateway-grpc-port", Kind.NUMBER, 50052, "Internal port of the gateway"),
            ("connect-gateway-grpc-ip", Kind.TEXT, "127.0.0.1", "Internal address of the gateway"),
            ("connect-executor-grpc-port", Kind.NUMBER, 50053, "Internal port of executors"),
            (
                "connect-executor-grpc-ip",
                Kind.TEXT,
                "127.0.0.1",
                "Internal address of executors",
            ),
            ("debug-api-port", Kind.NUMBER, 7777, "Port of the debug API"),
        )
    ),
    Setting(
        flag="system-trace-endpoint",
        help="Address of a collector that runs are exported to, as traces (OTLP over HTTP);"
        " without it nothing is exported",
    ),
    Setting(flag="system-trace-url-path", help="Path of that address", default="/v1/traces"),
)


def settings_of(command: Command) -> tuple[Setting, ...]:
    """What a command knows, in the order of its help."""
    return tuple(setting for setting in SETTINGS if command in setting.commands)
