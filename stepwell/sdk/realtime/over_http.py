"""Publishing and subscribing over HTTP: the port of a client that talks to a server."""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from stepwell.sdk.errors import Error
from stepwell.sdk.net.port import ByteStream, HttpReply, NetworkError, StreamPort
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.net.sse import Block, Blocks, TooLong
from stepwell.sdk.realtime.port import Listening, Publication
from stepwell.wire.outside import decode
from stepwell.wire.realtime import LOST, PUBLISH_PATH, SSE_PATH, TOKEN_PATH, Message, TopicPlace

SECONDS_MAX: Final = 30.0
SILENCE_SECONDS: Final = 45.0
"""The server says something every 15 s: a connection that is silent for so long is gone."""


class _Token(msgspec.Struct):
    jwt: str


_TOKEN = msgspec.json.Decoder(_Token)
_MESSAGE = msgspec.json.Decoder(Message)


class HttpRealtime:
    """Realtime by way of a server's API."""

    def __init__(self, api: Callable[[], ServerApi], stream: Callable[[], StreamPort]) -> None:
        self._api = api
        self._stream = stream

    async def publish(self, publication: Publication) -> None:
        """See `RealtimePort`."""
        _taken(await self._api().ask(_publishing(publication)))

    def publish_sync(self, publication: Publication) -> None:
        """See `RealtimePort`."""
        _taken(self._api().ask_sync(_publishing(publication)))

    async def token(self, topics: Sequence[TopicPlace]) -> str:
        """A token for topics. Raises Error if the server refuses."""
        return _token(await self._api().ask(_wish(topics)))

    def token_sync(self, topics: Sequence[TopicPlace]) -> str:
        """The same for blocking code."""
        return _token(self._api().ask_sync(_wish(topics)))

    async def listen(self, topics: Sequence[TopicPlace], since: str) -> Listening:
        """See `RealtimePort`."""
        token = await self.token(topics)
        url = f"{self._api().origin}{SSE_PATH}?token={quote(token, safe='')}"
        headers = {"accept": "text/event-stream", **({"last-event-id": since} if since else {})}
        stream = await self._stream().listen(url, headers=headers, silence_seconds=SILENCE_SECONDS)
        if stream.status != 200:
            body = await stream.read()
            await stream.close()
            told = f"HTTP {stream.status}: {body[:300].decode(errors='replace')}"
            if stream.status >= 500:
                raise NetworkError(f"subscribing failed: {told}")
            raise Error(f"subscribing failed: {told}")
        return _HttpListening(stream)


class _HttpListening:
    """Messages out of server-sent events."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._blocks = Blocks()
        self._found: list[Block] = []

    async def next(self) -> Message | None:
        """See `Listening`."""
        while True:
            while self._found:
                message = _message_of(self._found.pop(0))
                if message is not None:
                    return message
            read = await self._stream.read()
            if not read:
                return None
            try:
                self._found += self._blocks.feed(read)
            except TooLong as error:
                raise NetworkError(str(error)) from None

    async def close(self) -> None:
        """See `Listening`."""
        await self._stream.close()


def _message_of(block: Block) -> Message | None:
    """A message; None for what is none. A block without data tells the place alone."""
    if not block.data:
        return Message("", id=block.id) if block.id else None
    if block.event not in ("", "message", LOST):
        return None
    try:
        return decode(block.data.encode(), _MESSAGE)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _publishing(publication: Publication) -> ApiRequest:
    asked = {"channel": publication.place.channel, "topic": publication.place.topic}
    if publication.run_id:
        asked["run_id"] = publication.run_id
    return ApiRequest(
        method="POST",
        path=f"{PUBLISH_PATH}?{urlencode(asked)}",
        body=bytes(publication.data),
        timeout_seconds=SECONDS_MAX,
    )


def _wish(topics: Sequence[TopicPlace]) -> ApiRequest:
    wanted = [{"channel": one.channel, "name": one.topic, "kind": "run"} for one in topics]
    return ApiRequest(
        method="POST",
        path=TOKEN_PATH,
        body=msgspec.json.encode(wanted),
        timeout_seconds=SECONDS_MAX,
    )


def _taken(reply: HttpReply) -> None:
    if reply.status >= 400:
        raise Error(f"publishing failed: HTTP {reply.status}: {_shown(reply)}")


def _token(reply: HttpReply) -> str:
    try:
        return decode(reply.body, _TOKEN).jwt
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = f"HTTP {reply.status}: {_shown(reply)}"
        if reply.status >= 500:
            raise NetworkError(f"the server gave no subscription token: {told}") from None
        raise Error(f"the server gave no subscription token: {told}") from None


def _shown(reply: HttpReply) -> str:
    return reply.body[:300].decode(errors="replace")
