"""The law of dependency as data: who may import what, and which modules are pure.

A module is judged by the longest prefix that covers it. Its own prefix and the standard library are
always allowed; `inside` names our modules, `outside` the third-party packages it may import.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Layer:
    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    notes: str = field(default="", compare=False)


IMPURE_SERVER = ("server.config",)
# What a store must know: which rows are wanted, what they look like, which facts change them.
STORED = tuple(
    f"server.engine.{name}"
    for name in ("row", "name", "state", "message.need", "message.record", "moment")
)
# Values are msgspec structs everywhere: see docs/decisions/001-msgspec-structs-as-values.md.
EVERYWHERE = ("msgspec", "typing_extensions")

LAYERS: dict[str, Layer] = {
    "wire": Layer((), ("google.protobuf",)),
    "expr": Layer((), ("cel_expr_python",)),
    "cron": Layer((), ("cronsim",)),
    "sdk": Layer(("wire",), ("pydantic", "pydantic_core")),
    "sdk.net": Layer(("wire", "sdk"), ("aiohttp", "yarl")),
    # Schedules and expressions are refused where they are declared.
    "sdk.function": Layer(("wire", "sdk", "cron", "expr.refusal"), ("pydantic",)),
    "sdk.connect": Layer(("wire", "sdk"), ("websockets", "google.protobuf")),
    # For servers on trio, which bring it.
    "sdk.serve.trio_loop": Layer(("wire", "sdk"), ("trio",)),
    "server.flow": Layer(("wire", "expr")),
    "server.engine": Layer(("wire", "expr", "cron", "server.flow")),
    "server.store": Layer((*STORED, "wire", "expr.equality", "server.descriptors", *IMPURE_SERVER)),
    "server.store.port": Layer(STORED),
    "server.store.row": Layer(("wire", *STORED)),
    "server.store.postgres": Layer(
        ("server.store", "wire", "expr.equality", *STORED, *IMPURE_SERVER),
        ("psycopg",),
    ),
    "server.store.postgres.waiting": Layer(
        ("server.store.postgres.connection",), ("psycopg", "greenlet")
    ),
    "server.store.transfer": Layer(("server.store", *STORED), ("psycopg",)),
    "server.ledger": Layer(
        (
            *("server.engine", "server.store.port", "server.clock", "server.meters"),
            *("server.repeated", *IMPURE_SERVER),
        )
    ),
    "server.drivers": Layer(
        (
            "wire",
            "server.engine.message.input",
            "server.clock",
            "server.store.port",
            "server.turns",
            *STORED,
            *IMPURE_SERVER,
        ),
        ("aiohttp", "yarl"),
    ),
    "server.runtime": Layer(
        (
            "wire",
            "server.clock",
            "server.ledger",
            "server.repeated",
            "server.drivers.port",
            "server.drivers.request",
            "server.engine.message.input",
            "server.engine.message.action",
            "server.engine.row.run",
            "server.engine.name.lane",
            "server.engine.row.cancellation",
            "server.engine.row.bulk",
            "server.query.other_code",
            "server.query.search",
            "server.realtime.hub",
            "server.store.port",
            "server.store.reading",
            "expr.dialect",
            "cron",
            *IMPURE_SERVER,
        ),
    ),
    # Admits workers as the HTTP API admits apps, and is a driver besides.
    "server.gateway": Layer(
        (
            "wire",
            "server.ledger",
            "server.drivers",
            "server.hosts",
            "server.engine.message.input",
            "server.engine.name.held",
            "server.advice",
            "server.intake",
            "server.query.v2.worker",
            "server.registration",
            "server.repeated",
            "server.store.port",
            "server.turns",
            *STORED,
            *IMPURE_SERVER,
        ),
        ("websockets", "starlette", "google.protobuf"),
    ),
    # Who may register, and as what: asked by HTTP, by worker sessions and by embedded apps.
    "server.registration": Layer(("wire", "expr", "cron", "server.engine.message.input", *STORED)),
    "server.advice": Layer(("wire", "expr")),
    "server.query": Layer(
        (
            "wire",
            "cron",
            "expr.dialect",
            "server.engine.life.deferral",
            "server.engine.name.lane",
            "server.engine.name.held",
            "server.engine.name.lease_id",
            "server.engine.name.lines",
            "server.flow",
            "server.store.port",
            "server.store.reading",
            "server.store.counting",
            "server.store.ended_counts",
            *STORED,
        )
    ),
    # Events from the API, and from programs that have the engine inside.
    "server.intake": Layer(
        ("server.engine.message.input", "server.ledger", "server.store.port", *STORED)
    ),
    "server.api.awaited": Layer(("server.store.port",), ("greenlet",)),
    "server.api": Layer(
        (
            "wire",
            "server.ledger",
            "server.turns",
            "server.engine.message.input",
            "expr.dialect",
            "server.engine.row.event",
            "server.flow.bucket",
            "server.intake",
            "server.query",
            "server.realtime",
            "server.advice",
            "server.registration",
            "server.repeated",
            "server.clock",
            "server.store.port",
            "server.store.reading",
            "server.store.counting",
            "server.drivers.port",
            "server.drivers.reply",
            "server.drivers.request",
            "server.drivers.http_pool",
            "server.hosts",
            "server.meters",
            *STORED,
            *IMPURE_SERVER,
        ),
        ("starlette", "prometheus_client", "graphql", "mcp", "mcp_types"),
    ),
    # Exporters of OpenTelemetry speak protobuf.
    "server.api.v1.otlp_protobuf": Layer(("wire",), ("opentelemetry", "google.protobuf")),
    "server.dashboard": Layer((), ("starlette",)),
    "server.config": Layer(),
    "server.clock": Layer(),
    "server.repeated": Layer(),
    "server.loop_watch": Layer(),
    "server.turns": Layer(("wire",)),
    "server.meters": Layer(("server.engine",)),
    # What a collector is told of runs.
    "server.telemetry": Layer(
        (
            *("wire", "server.query", "server.store.port", "server.clock", "server.repeated"),
            *STORED,
        ),
        ("aiohttp",),
    ),
    "server.node": Layer(("server", "wire", "expr", "cron"), ("uvicorn", "starlette", "uvloop")),
    # The page and its API for whoever has a node inside: the way across event loops.
    "server.mounted": Layer(("server", "wire"), ("starlette",)),
    "server.serving": Layer(("server", "wire"), ("uvicorn", "starlette", "uvloop")),
    "server.listening": Layer(),
    # Subscribers and their tokens: nothing of it is durable.
    "server.realtime": Layer(("wire",), ("jwt",)),
    "server.descriptors": Layer(),
    "server.hosts": Layer(("server.config", "server.listening")),
    # What the main port speaks before an application is asked.
    "server.front": Layer(
        (
            "wire",
            "server.descriptors",
            "server.hosts",
            "server.gateway.frame_port",
            *IMPURE_SERVER,
        ),
        ("uvicorn", "httptools", "websockets", "starlette"),
    ),
    "server": Layer(),
    "embedded": Layer(("sdk", "server", "wire"), ("starlette",)),
    "testing": Layer(("wire", "sdk", "server", "expr", "cron"), ("hypothesis", "pytest")),
    # What users touch: it holds the embedded engine.
    "testing.harness": Layer(("wire", "sdk", "server", "embedded", "testing")),
    "testing.unit": Layer(("testing.harness",)),
    "testing.replay": Layer(("wire", "sdk")),
    "testing.hypothesis": Layer(("testing.harness",), ("hypothesis",)),
    "lint": Layer(()),
    "cli": Layer(
        (
            "sdk.client",
            "sdk.function",
            "sdk.errors",
            "sdk.events",
            "sdk.extra",
            "sdk.send.outbox",
            "sdk.settings",
            "wire",
            "asgi",
            "connect",
            "embedded",
            "lint.problems",
            "outbox",
            "server.api.apps.discovery",
            "server.config",
            "server.listening",
            "server.query",
            "server.registration",
            "server.serving",
            "server.store",
            "testing.replay",
        ),
        ("click", "rich", "uvicorn", "uvloop"),
    ),
    "__main__": Layer(("cli",)),
    # A framework that is more than one file.
    "django": Layer(("sdk", "wire", "asgi"), ("django", "asgiref")),
    # An engine in the same process; nothing else of the package needs the server's extra.
    "django.dashboard": Layer(("sdk", "embedded"), ("django",)),
    "django.management": Layer(("sdk", "wire", "django", "connect", "cli.verbs.dev"), ("django",)),
    "celery": Layer(("sdk", "wire")),
    "experimental": Layer(("sdk", "wire", "sentry")),
    "experimental.digital_ocean_simulator": Layer((), ("flask",)),
    "": Layer(("sdk", "wire")),
}

# Floors, from the lowest: a room may use those below it, nothing above it, and no neighbour.
# docs/architecture.md shows the same tables, with what each room is for.
FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "sdk": (
        ("background", "errors", "extra", "timing", "tracing"),
        ("settings", "value"),
        ("events", "net"),
        ("realtime", "send"),
        ("step",),
        ("function",),
        ("middleware",),
        ("execution", "invoke"),
        ("client",),
        ("serve",),
        ("connect",),
    ),
    "server.engine": (
        ("moment", "retry", "row", "rules"),
        ("name",),
        ("message",),
        ("state",),
        ("flow_draft",),
        ("draft",),
        ("places",),
        ("life",),
        ("starting",),
        ("arriving",),
        ("op",),
        ("calling",),
        ("asked",),
        ("decide",),
    ),
    "server": (
        (
            *("advice", "clock", "config", "dashboard", "descriptors", "flow", "listening"),
            *("loop_watch", "realtime", "repeated", "turns"),
        ),
        ("engine", "hosts"),
        ("meters", "registration", "store"),
        ("drivers", "ledger", "postgres_store", "query"),
        ("intake",),
        ("api", "gateway", "runtime", "telemetry"),
        ("front", "node"),
        ("mounted",),
        ("serving",),
    ),
}

# Adapters: any other module of the package itself is one file per framework, above the SDK, and may
# import the framework it is called after; these are called otherwise, or bring more than one.
ADAPTER_INSIDE = ("sdk", "wire", "asgi", "wsgi")
FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "fast_api": ("fastapi", "starlette"),
    "flask": ("flask", "werkzeug"),
    "quart": ("quart", "werkzeug"),
    "google_cloud": ("flask",),
    "asgi": ("uvicorn",),
    "encryption": ("nacl",),
    "opentelemetry_instrumentor": ("opentelemetry",),
    "sentry": ("sentry_sdk",),
}
# Adapters that are made of another one.
ADAPTERS_ON_ADAPTERS = {
    "fast_api": ("starlette",),
    "opentelemetry_instrumentor": ("opentelemetry",),
    "vercel": ("http_server", "aws_lambda"),
}


def adapter(name: str) -> Layer:
    """The layer of a framework's file."""
    inside = (*ADAPTER_INSIDE, *ADAPTERS_ON_ADAPTERS.get(name, ()))
    return Layer(inside, FRAMEWORKS.get(name, (name,)))


PURE = (
    "wire",
    "expr",
    "cron",
    "sdk.net.sse",
    "sdk.step.asked",
    "sdk.step.memo",
    "sdk.step.identity",
    "sdk.execution.replay",
    "sdk.execution.outcome",
    "sdk.step.option",
    "sdk.connect.closing",
    "sdk.connect.protocol",
    "server.flow",
    "server.engine",
    "server.store.port",
    "server.store.row",
    "server.store.meeting",
    "server.store.reading",
    "server.store.counting",
    "server.store.ended_counts",
    "server.store.due",
    "server.store.lanes",
    "server.drivers.request",
    "server.drivers.reply",
    "server.registration",
    "server.query",
    "server.gateway.protocol",
)

# What an endpoint is, without the shell around it: nothing here waits or reads a clock, though the
# functions that it names are anything.
WITHOUT_IO = tuple(
    f"sdk.serve.{name}"
    for name in (
        *("answer", "call", "effect", "endpoint", "gate", "introspect", "page", "register"),
        *("request", "route", "run_state", "served", "sync", "table"),
    )
)

# Third-party packages that wait for nothing and read no clock.
PURE_OUTSIDE = ("msgspec", "typing_extensions", "google.protobuf", "cel_expr_python", "cronsim")

# Imports inside functions: (module, imported), each with the optional dependency that explains it.
LATE_IMPORTS: frozenset[tuple[str, str]] = frozenset(
    {
        ("stepwell.cli.entry", "stepwell.cli.main"),  # click comes with the server
        ("stepwell.sdk.function.expression", "stepwell.expr.refusal"),  # CEL comes with the server
        ("stepwell.asgi", "uvicorn"),  # only who wants a server of one line needs one
        ("stepwell.sdk.serve.asgi", "stepwell.sdk.serve.trio_loop"),  # which imports trio
        # Only who wants PostgreSQL needs its driver, and what waits for it.
        ("stepwell.server.api.app", "stepwell.server.api.awaited"),
        ("stepwell.server.api.deps", "stepwell.server.api.awaited"),
        ("stepwell.server.postgres_store", "stepwell.server.store.postgres.pool"),
        ("stepwell.server.postgres_store", "stepwell.server.store.postgres.store"),
        # GraphQL is asked by few, and costs memory.
        ("stepwell.server.api.graphql.endpoint", "stepwell.server.api.graphql.answer"),
        # Who speaks no MCP need not have it.
        ("stepwell.server.api.mcp.endpoint", "stepwell.server.api.mcp.server"),
        # Clients cost memory and time; many processes never make a request of either kind.
        ("stepwell.sdk.net.shared", "stepwell.sdk.net.pooled"),
        ("stepwell.sdk.net.shared", "stepwell.sdk.net.blocking"),
        # A server needs the SDK only where functions are served in its process.
        ("stepwell.cli.verbs.dev", "stepwell.cli.functions.here"),
        # It imports many modules, and few ask for the version.
        ("stepwell.cli.main", "importlib.metadata"),
        # It brings all of cryptography, and few servers have subscribers.
        ("stepwell.server.realtime.minter", "jwt"),
        # The server's events are many models, and slow to make; few programs name one.
        ("stepwell.sdk.client.declarer", "stepwell.sdk.events.internal"),
        ("stepwell.sdk.function.trigger", "stepwell.sdk.events.internal"),
    }
)
