"""The only place that knows what is said at a sync and on introspection."""

from typing import Literal, TypeAlias

import msgspec

from stepwell.wire import limit
from stepwell.wire.canonical import canonical
from stepwell.wire.function_config import FunctionConfig, decode_function, encode_function
from stepwell.wire.outside import decode

DEPLOY_PING = "ping"
DEPLOY_CONNECT = "connect"
PROTOCOL_VERSION = "0.1"
SCHEMA_VERSION = "2024-05-24"
REGISTERED_MESSAGE = "Successfully registered"

Mode: TypeAlias = Literal["dev", "cloud"]

CAPABILITIES = {"connect": "v1", "in_band_sync": "v1", "trust_probe": "v1"}


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What `POST /fn/register` carries. `sdk` is `<language>:v<version>`.

    `event_schemas` is ours: JSON Schemas of the app's events by name, `{"data": …, "user": …}`.
    """

    url: str
    app_name: str
    functions: tuple[FunctionConfig, ...] = ()
    sdk: str = ""
    framework: str = ""
    app_version: str = ""
    deploy_type: str = DEPLOY_PING
    v: str = PROTOCOL_VERSION
    capabilities: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    event_schemas: msgspec.Raw | None = None


class MalformedRegistration(ValueError):
    """A sync body that cannot be understood; the text names the field."""


class _Outgoing(msgspec.Struct, omit_defaults=True, rename="camel"):
    url: str
    deploy_type: str
    framework: str
    app_name: str
    sdk: str
    v: str
    functions: list[msgspec.Raw]
    app_version: str = ""
    capabilities: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    event_schemas: msgspec.Raw | None = None


class _Incoming(msgspec.Struct, rename=lambda name: name.replace("_", "")):
    """Keys as they are once case and underscores are taken off."""

    url: str = ""
    app_name: str = ""
    functions: list[msgspec.Raw] = msgspec.field(default_factory=list[msgspec.Raw])
    sdk: str = ""
    framework: str = ""
    app_version: str = ""
    deploy_type: str = DEPLOY_PING
    v: str = ""
    capabilities: dict[str, object] = msgspec.field(default_factory=dict[str, object])
    event_schemas: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict[str, msgspec.Raw])


def _raw_functions(functions: tuple[FunctionConfig, ...]) -> list[msgspec.Raw]:
    return [msgspec.Raw(encode_function(config)) for config in functions]


def encode_registration(registration: Registration) -> bytes:
    """The body of `POST /fn/register`."""
    return msgspec.json.encode(
        _Outgoing(
            registration.url,
            registration.deploy_type,
            registration.framework,
            registration.app_name,
            registration.sdk,
            registration.v,
            _raw_functions(registration.functions),
            registration.app_version,
            registration.capabilities,
            registration.event_schemas,
        )
    )


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_registration(body: bytes) -> Registration:
    """A body of `POST /fn/register`; keys are read whatever their case and underscores.

    Nulls count as absent. Whether the functions are acceptable is not judged. Raises
    MalformedRegistration or MalformedFunction.
    """
    try:
        fields = decode(body, _FIELDS)
        given = {
            key.replace("_", "").lower(): raw
            for key, raw in fields.items()
            if bytes(raw) != b"null"
        }
        incoming = msgspec.json.decode(msgspec.json.encode(given), type=_Incoming)
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise MalformedRegistration(f"Invalid request: {problem}") from None
    return Registration(
        url=incoming.url,
        app_name=incoming.app_name,
        functions=tuple(decode_function(raw) for raw in incoming.functions),
        sdk=incoming.sdk,
        framework=incoming.framework,
        app_version=incoming.app_version,
        deploy_type=incoming.deploy_type or DEPLOY_PING,
        v=incoming.v,
        capabilities={key: str(value) for key, value in incoming.capabilities.items()},
        event_schemas=_schemas(incoming.event_schemas),
    )


def _schemas(given: dict[str, msgspec.Raw]) -> msgspec.Raw | None:
    """The schemas in canonical form. Raises MalformedRegistration if they are too large."""
    if not given:
        return None
    body = canonical(msgspec.json.encode(given))
    if len(body) > limit.EVENT_SCHEMAS_BYTES_MAX:
        raise MalformedRegistration(
            f"Invalid request: eventSchemas has {len(body)} bytes, at most"
            f" {limit.EVENT_SCHEMAS_BYTES_MAX}: describe fewer events, or less of them"
        )
    return msgspec.Raw(body)


class RegisterAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the server answers to a registration; `modified` tells whether anything changed.

    `warnings` is ours: what may be registered and is probably a mistake, a sentence each.
    """

    ok: bool = True
    modified: bool = False
    sync_id: str | None = None
    app_id: str | None = None
    warnings: tuple[str, ...] = ()


class RegisterProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The error shape of the public API, beside its HTTP status."""

    error: str = ""
    code: str = ""
    status: int = 0


def encode_register_answer(answer: RegisterAnswer) -> bytes:
    """The 200 body of `POST /fn/register`."""
    fields = {
        "ok": answer.ok,
        "modified": answer.modified,
        "sync_id": answer.sync_id,
        "app_id": answer.app_id,
        "warnings": answer.warnings or None,
    }
    return msgspec.json.encode({key: value for key, value in fields.items() if value is not None})


_PROBLEM = msgspec.json.Decoder(RegisterProblem)
_ANSWER = msgspec.json.Decoder(RegisterAnswer)


def decode_register_answer(body: bytes) -> RegisterAnswer | RegisterProblem:
    """What the server answered, good or bad. A body that is no JSON becomes a problem with it."""
    try:
        problem = decode(body, _PROBLEM)
        if problem.error:
            return problem
        return decode(body, _ANSWER)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body[:200].decode(errors="replace").strip()
        return RegisterProblem(f"the server's answer is not understood: {text or 'it is empty'}")


class SyncAnswer(msgspec.Struct, frozen=True):
    """What an SDK answers to the PUT of an out-of-band sync. `server` is what the server answered,
    whose fields are handed through."""

    message: str
    modified: bool = False
    server: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict[str, msgspec.Raw])


def encode_sync_answer(answer: SyncAnswer) -> bytes:
    """The body of the answer to an out-of-band PUT."""
    own = {"message": answer.message, "modified": answer.modified}
    return msgspec.json.encode({**answer.server, **own})


def fields_of_answer(body: bytes) -> dict[str, msgspec.Raw]:
    """The fields of what a server answered to a registration; none if it is no JSON object."""
    try:
        return decode(body, _FIELDS)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


class SyncAsked(msgspec.Struct, frozen=True):
    """The body of a PUT: where the server reaches the app; empty if an operator asked."""

    url: str = ""


_SYNC_ASKED = msgspec.json.Decoder(SyncAsked)


def decode_sync_asked(body: bytes) -> SyncAsked:
    """The body of a PUT; an empty one is fine. Raises MalformedRegistration."""
    if not body.strip():
        return SyncAsked()
    try:
        return decode(body, _SYNC_ASKED)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise MalformedRegistration(
            f'the body of a sync must be {{"url": "…"}}: {problem}'
        ) from None


def encode_sync_asked(asked: SyncAsked) -> bytes:
    """The body of the server's PUT."""
    return msgspec.json.encode(asked)


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """What an SDK tells of itself on GET. The part anybody may see comes first; what
    is unset is left out."""

    function_count: int
    has_event_key: bool
    has_signing_key: bool
    has_signing_key_fallback: bool
    mode: Mode
    schema_version: str = SCHEMA_VERSION
    authentication_succeeded: bool | msgspec.UnsetType = msgspec.UNSET
    extra: dict[str, bool] | msgspec.UnsetType = msgspec.UNSET


class TrustedIntrospection(Introspection, frozen=True, kw_only=True):
    """What it tells the server, once the signature was right."""

    app_id: str
    sdk_language: str
    sdk_version: str
    api_origin: str
    event_api_origin: str
    framework: str | None = None
    env: str | None = None
    serve_origin: str | None = None
    serve_path: str | None = None
    event_key_hash: str | None = None
    signing_key_hash: str | None = None
    signing_key_fallback_hash: str | None = None
    capabilities: dict[str, str] = msgspec.field(default_factory=lambda: dict(CAPABILITIES))


def encode_introspection(introspection: Introspection) -> bytes:
    """The body of the answer to GET."""
    return msgspec.json.encode(introspection, order="sorted")


class InBandAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an SDK answers to the PUT of an in-band sync; it is signed."""

    app_id: str
    url: str
    sdk_language: str
    sdk_version: str
    functions: tuple[FunctionConfig, ...]
    inspection: Introspection
    framework: str = ""
    app_version: str | None = None
    env: str | None = None
    platform: str | None = None
    sdk_author: str = "inngest"
    capabilities: dict[str, str] = msgspec.field(default_factory=lambda: dict(CAPABILITIES))
    event_schemas: msgspec.Raw | None = None


class _InBand(msgspec.Struct, omit_defaults=True):
    app_id: str
    url: str
    sdk_author: str
    sdk_language: str
    sdk_version: str
    framework: str
    functions: list[msgspec.Raw]
    inspection: Introspection
    capabilities: dict[str, str]
    app_version: str | None = msgspec.field(name="appVersion", default=None)
    env: str | None = None
    platform: str | None = None
    event_schemas: msgspec.Raw | None = None


def encode_in_band_answer(answer: InBandAnswer) -> bytes:
    """The body of the answer to an in-band PUT; what is None is left out."""
    return msgspec.json.encode(
        _InBand(
            answer.app_id,
            answer.url,
            answer.sdk_author,
            answer.sdk_language,
            answer.sdk_version,
            answer.framework,
            _raw_functions(answer.functions),
            answer.inspection,
            answer.capabilities,
            answer.app_version,
            answer.env,
            answer.platform,
            answer.event_schemas,
        )
    )


class _InBandIncoming(msgspec.Struct):
    app_id: str
    url: str = ""
    sdk_language: str = ""
    sdk_version: str = ""
    framework: str | None = None
    functions: list[msgspec.Raw] = msgspec.field(default_factory=list[msgspec.Raw])
    app_version: str | None = msgspec.field(name="appVersion", default=None)
    event_schemas: dict[str, msgspec.Raw] | None = None


_IN_BAND = msgspec.json.Decoder(_InBandIncoming)


def decode_in_band_answer(body: bytes) -> Registration:
    """An in-band answer as the registration it stands for.

    Raises MalformedRegistration or MalformedFunction.
    """
    try:
        incoming = decode(body, _IN_BAND)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise MalformedRegistration(f"the in-band answer is not understood: {problem}") from None
    return Registration(
        url=incoming.url,
        app_name=incoming.app_id,
        functions=tuple(decode_function(raw) for raw in incoming.functions),
        sdk=f"{incoming.sdk_language}:v{incoming.sdk_version}",
        framework=incoming.framework or "",
        app_version=incoming.app_version or "",
        event_schemas=_schemas(incoming.event_schemas or {}),
    )
