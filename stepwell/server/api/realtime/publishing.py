"""`/v1/realtime`: publishing to the subscribers of channels, and the tokens they subscribe with.

Whoever has the signing key publishes, and asks for tokens; `subscriptions.py` is for who has one.
"""

import codecs
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.realtime.subscriptions import topics_of
from stepwell.server.api.routing.problem import Endpoint, Problem, as_json, body_of
from stepwell.server.api.routing.route import BODY_BYTES_DEFAULT
from stepwell.server.query.run_object import ENVIRONMENT_ID
from stepwell.server.realtime.minter import problem_of_topics
from stepwell.wire import header
from stepwell.wire.duration import format_instant
from stepwell.wire.outside import decode
from stepwell.wire.realtime import (
    CHUNK,
    CHUNK_CHARS,
    CHUNKS_MAX,
    DATA,
    MESSAGE_BYTES_MAX,
    STREAM_END,
    STREAM_START,
    STREAM_TOPIC,
    TOKEN_CHARS_MAX,
    TOPICS_MAX,
    Message,
    TopicPlace,
    TopicWish,
    problem_of_name,
    published,
)

_STREAM_TYPE: Final = "text/stream"
_WISHES = msgspec.json.Decoder(list[TopicWish])


async def token(deps: ApiDeps, request: Request) -> Response:
    """A token for a list of topics."""
    try:
        wishes = decode(await body_of(request, BODY_BYTES_DEFAULT), _WISHES)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = f"Invalid request: must provide a list of topics ({error})"
        raise Problem(400, told) from None
    topics = [TopicPlace(one.channel, one.name) for one in wishes]
    problem = problem_of_topics(topics)
    if problem:
        raise Problem(400, f"Invalid request: {problem}")
    now_ms = deps.clock.now_ms()
    made = deps.tokens.mint(topics, now_ms=now_ms, token_id=deps.fresh_id(now_ms))
    if len(made) > TOKEN_CHARS_MAX:
        raise Problem(
            400, f"the names of the {len(topics)} topics are too long together: ask for fewer"
        )
    return as_json({"jwt": made}, 201)


async def publish(deps: ApiDeps, request: Request) -> Response:
    """Publish the body to topics of a channel: JSON as it is, anything else as text."""
    query = request.query_params
    places = _places(query.get("channel", ""), query.getlist("topic"))
    about = Message(
        DATA,
        created_at=format_instant(deps.clock.now_ms()),
        env_id=ENVIRONMENT_ID,
        run_id=query.get("run_id", ""),
        metadata=_metadata(query.get("metadata", "")),
    )
    if request.headers.get("content-type", "").partition(";")[0].strip() == _STREAM_TYPE:
        await _publish_stream(deps, request, places, about)
        return Response(status_code=200)
    body = await body_of(request, MESSAGE_BYTES_MAX)
    try:
        data = published(body)
    except ValueError as error:
        raise Problem(400, f"the message is neither JSON nor UTF-8 text: {error}") from None
    for place in places:
        deps.hub.publish(
            msgspec.structs.replace(about, data=data, channel=place.channel, topic=place.topic)
        )
    return Response(status_code=200)


def _places(channel: str, topics: Sequence[str]) -> list[TopicPlace]:
    """The topics that are published to. Raises Problem."""
    if len(topics) > TOPICS_MAX:
        raise Problem(400, f"topic is given {len(topics)} times, at most {TOPICS_MAX} are allowed")
    problem = problem_of_name("channel", channel)
    for name in topics or [""]:
        problem = problem or problem_of_name("topic", name)
    if problem:
        raise Problem(400, f"query parameter {problem}")
    return [TopicPlace(channel, name) for name in dict.fromkeys(topics)]


def _metadata(text: str) -> msgspec.Raw | msgspec.UnsetType:
    try:
        return published(text.encode()) if text else msgspec.UNSET
    except ValueError as error:
        raise Problem(400, f"query parameter metadata cannot be read: {error}") from None


async def _publish_stream(
    deps: ApiDeps, request: Request, places: Sequence[TopicPlace], about: Message
) -> None:
    """Publish a body while it arrives."""
    stream_id = deps.fresh_id(deps.clock.now_ms())
    named = msgspec.Raw(msgspec.json.encode(stream_id))

    def tell(kind: str, data: msgspec.Raw, stream_id: str = "") -> None:
        for place in places:
            deps.hub.publish(
                msgspec.structs.replace(
                    about,
                    kind=kind,
                    data=data,
                    channel=place.channel,
                    topic=place.topic,
                    stream_id=stream_id,
                )
            )

    tell(STREAM_START, named)
    try:
        told = 0
        async for text in _texts(request):
            for at in range(0, len(text), CHUNK_CHARS):
                told += 1
                if told > CHUNKS_MAX:
                    most = CHUNKS_MAX * CHUNK_CHARS
                    raise Problem(413, f"the stream is longer than {most} characters: end it")
                piece = msgspec.json.encode(text[at : at + CHUNK_CHARS])
                tell(CHUNK, msgspec.Raw(piece), stream_id)
    finally:
        tell(STREAM_END, named)


async def _texts(request: Request) -> AsyncGenerator[str]:
    """A body as text, as it arrives. Raises Problem."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        async for chunk in request.stream():
            text = decoder.decode(chunk)
            if text:
                yield text
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Problem(400, f"the stream is no UTF-8 text: {error}") from None
    except ClientDisconnect:
        raise Problem(400, "the connection ended before the stream did") from None


async def tee(deps: ApiDeps, request: Request) -> Response:
    """Tell what arrives to the subscribers of a channel's stream, as it arrives and as it is: the
    blocks of server-sent events whole, each at its end."""
    channel = request.query_params.get("channel", "")
    if not channel:
        raise Problem(400, "channel query parameter required")
    (place,) = _places(channel, [STREAM_TOPIC])
    rest = b""
    try:
        async for chunk in request.stream():
            blocks, end, rest = (rest + chunk).rpartition(b"\n\n")
            if end:
                deps.hub.publish_raw(place, blocks + end)
            if len(rest) > MESSAGE_BYTES_MAX:
                deps.hub.publish_raw(place, rest)
                rest = b""
    except ClientDisconnect:
        raise Problem(400, "the connection ended before the stream did") from None
    if rest:
        deps.hub.publish_raw(place, rest)
    return Response(status_code=200)


def no_subscriber(deps: ApiDeps, asked: Endpoint) -> Endpoint:
    """A route to which a token of a subscriber does not help: it is told so."""

    async def answered(request: Request) -> Response:
        scheme, _, text = request.headers.get(header.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer" and topics_of(deps, text.strip()):
            raise Problem(401, "Not authenticated for publishing")
        return await asked(request)

    return answered
