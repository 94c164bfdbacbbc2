"""Subscribing with a token: `GET /v1/realtime/sse`, and the WebSocket at `/v1/realtime/connect`.

A token says what its holder may hear of, so pages of any origin may ask. Messages have ids; who
comes back with the last one it heard, as `Last-Event-ID` or `since`, gets what it missed (ours).
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from stepwell.server.api.deps import ApiDeps
from stepwell.server.api.routing.problem import Problem, problem_response
from stepwell.server.realtime.hub import Hub, Subscriber, Told, TooManySubscribers
from stepwell.server.realtime.minter import TokenRefused
from stepwell.wire import header
from stepwell.wire.outside import decode
from stepwell.wire.realtime import (
    CLOSING,
    LOST,
    PING,
    STREAM_TOPIC,
    TOPICS_MAX,
    Message,
    TopicPlace,
    TopicWish,
)

ALIVE_S: Final = 15.0
OPEN_S: Final = 15 * 60.0
"""A subscription by server-sent events ends after so long; a browser opens it anew."""
SEND_S: Final = 30.0
"""A socket whose peer takes nothing for so long is closed."""
_FROM_ANYWHERE: Final = {"access-control-allow-origin": "*"}
_CAN_DENY: Final = "websocket.http.response"
_TRY_AGAIN: Final = 1013
_NOT_ALLOWED: Final = 1008


class _Frame(msgspec.Struct):
    """What a subscriber says: `sub` and a token, or `unsub` and topics."""

    kind: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


_FRAME = msgspec.json.Decoder(_Frame)
_TEXT = msgspec.json.Decoder(str)
_WISHES = msgspec.json.Decoder(list[TopicWish])


def topics_of(deps: ApiDeps, text: str) -> tuple[TopicPlace, ...]:
    """The topics of a token; none if it opens nothing."""
    try:
        return deps.tokens.topics_of(text, now_ms=deps.clock.now_ms())
    except TokenRefused:
        return ()


async def sse(deps: ApiDeps, request: Request) -> Response:
    """What is published to the topics of a token, as server-sent events."""
    query = request.query_params
    since = request.headers.get("last-event-id", "") or query.get("since", "")
    try:
        topics = _shown(deps, request)
        deps.hub.check_room(topics)
        if not since and all(one.topic == STREAM_TOPIC for one in topics):
            # A run's stream has a beginning, and who hears of the run later misses none of it.
            since = deps.hub.oldest_id
    except TooManySubscribers as full:
        return _refused(Problem(503, str(full)))
    except Problem as problem:
        return _refused(problem)
    return StreamingResponse(
        _told(deps.hub, topics, since),
        media_type="text/event-stream",
        headers={**_FROM_ANYWHERE, "cache-control": "no-store", "x-accel-buffering": "no"},
    )


def _refused(problem: Problem) -> Response:
    answer = problem_response(problem)
    answer.headers.update(_FROM_ANYWHERE)
    return answer


def _shown(deps: ApiDeps, asked: HTTPConnection) -> tuple[TopicPlace, ...]:
    """The topics of the token that is shown. Raises Problem."""
    shown = asked.query_params.get("token", "")
    if not shown:
        scheme, _, text = asked.headers.get(header.AUTHORIZATION, "").partition(" ")
        shown = text.strip() if scheme.lower() == "bearer" else ""
    if not shown:
        raise Problem(401, "Not authenticated")
    try:
        return deps.tokens.topics_of(shown, now_ms=deps.clock.now_ms())
    except TokenRefused as refused:
        raise Problem(401, f"Not authenticated: {refused}") from None


async def _told(hub: Hub, topics: tuple[TopicPlace, ...], since: str) -> AsyncGenerator[bytes]:
    loop = asyncio.get_running_loop()
    until = loop.time() + OPEN_S
    subscriber = hub.subscribe(topics, since)
    try:
        if not since:
            # So that who has heard nothing yet can come back, too.
            yield _alive(hub)
        while not subscriber.is_over and loop.time() < until:
            told = await subscriber.next(ALIVE_S)
            if told is not None:
                yield _block(hub, told)
            elif not subscriber.is_over:
                yield _alive(hub)
    finally:
        subscriber.close()


def _alive(hub: Hub) -> bytes:
    return b": \nid: %b\n\n" % hub.id_of(hub.place).encode()


def _block(hub: Hub, told: Told) -> bytes:
    named = b"id: %b\n" % hub.id_of(told.place).encode()
    if told.raw:
        return named + told.body if told.body.startswith((b"event:", b"data:")) else told.body
    if told.is_loss:
        return b"event: %b\n%bdata: %b\n\n" % (LOST.encode(), named, told.body)
    return b"%bdata: %b\n\n" % (named, told.body)


async def connect(deps: ApiDeps, socket: WebSocket) -> None:
    """What is published to the topics of a token, as messages of a WebSocket."""
    try:
        topics = _shown(deps, socket)
        subscriber = deps.hub.subscribe(topics, socket.query_params.get("since", ""))
    except TooManySubscribers as full:
        await _turned_away(socket, Problem(503, str(full)))
        return
    except Problem as problem:
        await _turned_away(socket, problem)
        return
    try:
        await socket.accept()
        hearing = asyncio.ensure_future(_heard(deps, socket, subscriber))
        telling = asyncio.ensure_future(_tell(deps.hub, socket, subscriber))
        try:
            await asyncio.wait({hearing, telling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hearing, telling):
                task.cancel()
            await asyncio.gather(hearing, telling, return_exceptions=True)
    finally:
        subscriber.close()


async def _turned_away(socket: WebSocket, problem: Problem) -> None:
    """The handshake is answered with what is wrong, where the server in front can say so."""
    if _CAN_DENY in socket.scope.get("extensions", {}):
        await socket.send_denial_response(problem_response(problem))
    else:
        await socket.close(_NOT_ALLOWED)


async def _tell(hub: Hub, socket: WebSocket, subscriber: Subscriber) -> None:
    """Until nothing more comes, or the peer does not take it."""
    with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        while not subscriber.is_over:
            told = await subscriber.next(ALIVE_S)
            if told is not None:
                await _send(socket, told.body)
            elif not subscriber.is_over:
                await _send(socket, _now(hub, PING))
        await _send(socket, _now(hub, CLOSING))
        await socket.close(_TRY_AGAIN)


async def _send(socket: WebSocket, body: bytes) -> None:
    async with asyncio.timeout(SEND_S):
        await socket.send_text(body.decode(errors="replace"))


def _now(hub: Hub, kind: str) -> bytes:
    return msgspec.json.encode(Message(kind, msgspec.Raw(b"null"), id=hub.id_of(hub.place)))


async def _heard(deps: ApiDeps, socket: WebSocket, subscriber: Subscriber) -> None:
    """What the peer says, until it leaves or says what nobody understands."""
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            said = message.get("text") or message.get("bytes") or b""
            problem = _heed(deps, subscriber, said.encode() if isinstance(said, str) else said)
            if problem:
                await socket.close(_NOT_ALLOWED, problem[:120])
                return


def _heed(deps: ApiDeps, subscriber: Subscriber, said: bytes) -> str:
    """Do what a subscriber says; what is wrong with it."""
    try:
        frame = decode(said, _FRAME)
        if frame.kind == "sub":
            return _more(deps, subscriber, decode(frame.data, _TEXT))
        if frame.kind == "unsub":
            wishes = decode(frame.data, _WISHES)
            deps.hub.leave(subscriber, [TopicPlace(one.channel, one.name) for one in wishes])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"not understood: {error}"
    return ""


def _more(deps: ApiDeps, subscriber: Subscriber, text: str) -> str:
    topics = topics_of(deps, text)
    if not topics:
        return "Not authenticated"
    if len(subscriber.topics.union(topics)) > TOPICS_MAX:
        return f"more than {TOPICS_MAX} topics: open another socket"
    try:
        deps.hub.join(subscriber, topics)
    except TooManySubscribers as full:
        return str(full)
    return ""
