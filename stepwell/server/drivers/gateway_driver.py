"""HTTP requests and inferences the server makes for a step.

The outcome is that of a call that ran the step: a result, or an error the engine tries again. Keys
of providers are sent and never told: not in an error, not in a log.
"""

import time

import msgspec

from stepwell.server.drivers.http_pool import Answer, HttpPool, NoAnswer
from stepwell.server.drivers.port import Save
from stepwell.server.engine.message.input import Job, Outcome, Progressed
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.server.turns import in_turns
from stepwell.wire import ai, header, limit
from stepwell.wire.failure import AI_GATEWAY_ERROR, GATEWAY_ERROR, Failure
from stepwell.wire.long_json import canonicalizing
from stepwell.wire.metadata import MetadataUpdate, encode_updates
from stepwell.wire.operation import AiGatewayCall, GatewayCall, StepError, StepRun
from stepwell.wire.operation_decode import decoding_operations
from stepwell.wire.outside import decode, has_more_values

_STACK_CHARS_MAX = 10_000
_VALUES_READ_MAX = 50_000
_ANY = msgspec.json.Decoder(object)


class _Fetched(msgspec.Struct):
    """What a fetch is remembered as, in canonical order."""

    body: str
    headers: dict[str, str]
    status_code: int
    url: str


class GatewayDriver:
    """Makes the requests of the server's own queue."""

    def __init__(self, pool: HttpPool) -> None:
        """The pool may be shared with calls of apps."""
        self._pool = pool

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """Make the request the item describes; see `Driver.call`."""
        (operation,) = await in_turns(decoding_operations(job.item.secret))
        assert isinstance(operation, GatewayCall | AiGatewayCall)
        began = time.monotonic()
        metadata: msgspec.Raw | None = None
        if isinstance(operation, GatewayCall):
            found = await self._fetched(operation)
        else:
            found = await self._inferred(operation)
            if isinstance(found, bytes):
                metadata = _told(operation, found, round((time.monotonic() - began) * 1_000))
        ended: StepRun | StepError
        if isinstance(found, Failure):
            ended = StepError(
                id=operation.id,
                name=operation.name,
                display_name=operation.display_name,
                parallel_mode=operation.parallel_mode,
                failure=found,
            )
        else:
            ended = StepRun(
                id=operation.id,
                name=operation.name,
                display_name=operation.display_name,
                parallel_mode=operation.parallel_mode,
                data=msgspec.Raw(found),
                metadata=metadata,
            )
        return Progressed((ended,), job.run.version)

    async def _fetched(self, operation: GatewayCall) -> bytes | Failure:
        try:
            answer = await self._pool.request(
                operation.method.upper() or "POST",
                operation.url,
                dict(operation.headers),
                operation.body.encode(),
                bytes_max=limit.STEP_OUTPUT_BYTES_MAX,
            )
        except NoAnswer as problem:
            return Failure(GATEWAY_ERROR, problem.message, problem.reason)
        if too_large := _too_large(GATEWAY_ERROR, answer):
            return too_large
        fetched = _Fetched(_text(answer.body), dict(answer.headers), answer.status, operation.url)
        return await in_turns(canonicalizing(msgspec.json.encode(fetched)))

    async def _inferred(self, operation: AiGatewayCall) -> bytes | Failure:
        url, headers = _authorized(operation)
        try:
            answer = await self._pool.request(
                "POST",
                url,
                headers,
                bytes(operation.body),
                bytes_max=limit.STEP_OUTPUT_BYTES_MAX,
                stays=True,
            )
        except NoAnswer as problem:
            told = problem.message.replace(operation.auth_key, "…") if operation.auth_key else ""
            return Failure(AI_GATEWAY_ERROR, told or problem.message)
        if too_large := _too_large(AI_GATEWAY_ERROR, answer):
            return too_large
        if answer.status > 299:
            return await _refused(f"unsuccessful status code: {answer.status}", answer)
        try:
            return await in_turns(canonicalizing(answer.body))
        except ValueError:
            return await _refused("the provider's answer is no JSON", answer)


def _told(operation: AiGatewayCall, found: bytes, latency_ms: int) -> msgspec.Raw | None:
    """What the provider tells of its answer: models, tokens, why it ended. Nothing where decoding
    would keep everybody waiting."""
    if any(has_more_values(raw, _VALUES_READ_MAX) for raw in (operation.body, found)):
        return None
    values = ai.told_of(decode(operation.body, _ANY), decode(found, _ANY), latency_ms)
    if not values:
        return None
    told = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in values.items()}
    return encode_updates((MetadataUpdate(ai.KIND, told, "set", "step"),))


def _authorized(operation: AiGatewayCall) -> tuple[str, dict[str, str]]:
    """The URL and headers of an inference: each provider wants its key elsewhere."""
    headers = {header.CONTENT_TYPE: header.JSON, **dict(operation.headers)}
    url, key = operation.url, operation.auth_key
    match operation.format if key else "":
        case "":
            pass
        case "anthropic":
            headers["x-api-key"] = key
        case "gemini":
            url += f"{'&' if '?' in url else '?'}key={key}"
        case "bedrock":
            headers[header.AUTHORIZATION] = key
        case _:
            headers[header.AUTHORIZATION] = f"Bearer {key}"
    return url, headers


def _too_large(name: str, answer: Answer) -> Failure | None:
    if len(answer.body) <= limit.STEP_OUTPUT_BYTES_MAX:
        return None
    most = limit.STEP_OUTPUT_BYTES_MAX
    return Failure(
        name, f"the answer has more than {most} bytes: ask for less, or fetch it in a step"
    )


async def _refused(what: str, answer: Answer) -> Failure:
    text = _text(answer.body)
    data: msgspec.Raw | None
    try:
        data = msgspec.Raw(await in_turns(canonicalizing(answer.body)))
    except ValueError:
        data = msgspec.Raw(msgspec.json.encode(text[:_STACK_CHARS_MAX]))
    message = f"Error making AI request: {what}"
    return Failure(AI_GATEWAY_ERROR, message, text[:_STACK_CHARS_MAX], data=data)


def _text(body: bytes) -> str:
    return body.decode(errors="replace")
