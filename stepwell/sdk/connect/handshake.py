"""The HTTP half of the worker connection: ask where to connect, flush what was not acknowledged.

The only place that makes these two requests and reads their answers; it judges nothing. A start
call is made with the key it is told to use; a flush tries the key that worked last and then the
other one, because an answer must not wait for the next connection to learn of a new key.
"""

from collections.abc import Callable

import msgspec

from stepwell.sdk.connect.backoff import StartFailure
from stepwell.sdk.connect.endpoint import endpoint_problem
from stepwell.sdk.net.port import REDIRECTS, HttpPort, HttpReply, NetworkError
from stepwell.wire.connect_decode import FrameError, decode_start_response
from stepwell.wire.connect_encode import encode_start_request
from stepwell.wire.connect_limit import WORKER_START_TIMEOUT_S
from stepwell.wire.connect_word import StartRequest, StartResponse
from stepwell.wire.outside import decode

PROTOBUF = "application/protobuf"
START = "/v0/connect/start"
FLUSH_TIMEOUT_S = 30.0
_SHOWN_CHARS = 300


class FlushFailure(msgspec.Struct, frozen=True):
    """A flush that was not taken. `status` is None if nobody answered."""

    message: str
    status: int | None = None


class Handshake:
    """The API of one server. `tokens` are bearer tokens by key number; empty: none is sent."""

    def __init__(
        self,
        http: Callable[[], HttpPort],
        *,
        origin: str,
        headers: dict[str, str],
        tokens: tuple[str, ...],
        rewrite: Callable[[str], str] | None = None,
        start_http: HttpPort | None = None,
        advice: str = "",
    ) -> None:
        """`start_http` makes the start calls instead of `http`, unless it is sent elsewhere.
        `advice` is told beside a start call that failed."""
        self._http = http
        self._start_http = start_http
        self._origin = origin.rstrip("/")
        self._headers = {**headers, "content-type": PROTOBUF}
        self._tokens = tokens
        self._rewrite = rewrite
        self._flush_key = 0
        self._advice = advice

    async def start(self, key: int, exclude: tuple[str, ...]) -> StartResponse | StartFailure:
        """Ask where to connect. The endpoint is rewritten and checked; never raises."""
        body, timeout_s = encode_start_request(StartRequest(exclude)), WORKER_START_TIMEOUT_S
        reply = await self._post(START, key, body, timeout_s, http=self._start_http)
        if isinstance(reply, HttpReply) and reply.status in REDIRECTS:
            self._start_http = None
            reply = await self._post(START, key, body, timeout_s)
        if isinstance(reply, NetworkError):
            return StartFailure(str(reply), advice=self._advice)
        if reply.status != 200:
            return StartFailure(_words(reply), reply.status, self._advice)
        try:
            response = decode_start_response(reply.body)
        except FrameError as error:
            return StartFailure(str(error))
        return self._placed(response)

    def _placed(self, response: StartResponse) -> StartResponse | StartFailure:
        endpoint = response.gateway_endpoint
        if self._rewrite is not None:
            try:
                endpoint = self._rewrite(endpoint)
            except Exception as error:  # noqa: BLE001 - it is the user's function
                return StartFailure(f"rewrite_gateway_endpoint raised {error!r}")
        problem = endpoint_problem(endpoint)
        if problem is not None:
            return StartFailure(problem)
        return msgspec.structs.replace(response, gateway_endpoint=endpoint)

    async def flush(self, payload: bytes) -> FlushFailure | None:
        """Deliver one answer; None: the server has it. Never raises."""
        failure: FlushFailure | None = None
        for turn in range(max(1, len(self._tokens))):
            key = (self._flush_key + turn) % max(1, len(self._tokens))
            reply = await self._post("/v0/connect/flush", key, payload, FLUSH_TIMEOUT_S)
            if isinstance(reply, NetworkError):
                return FlushFailure(str(reply))
            if reply.status == 200:
                self._flush_key = key
                return None
            failure = FlushFailure(_words(reply), reply.status)
            if reply.status not in {401, 403}:
                break
        return failure

    async def _post(
        self, path: str, key: int, body: bytes, timeout_s: float, *, http: HttpPort | None = None
    ) -> HttpReply | NetworkError:
        headers = dict(self._headers)
        if self._tokens:
            headers["authorization"] = self._tokens[key]
        try:
            return await (http or self._http()).request(
                "POST", self._origin + path, headers=headers, body=body, timeout_seconds=timeout_s
            )
        except NetworkError as error:
            return error


_SAID = msgspec.json.Decoder(dict[str, object])


def _words(reply: HttpReply) -> str:
    """What the server said: the error of its JSON, or its text."""
    text = reply.body.decode("utf-8", "replace")
    try:
        said = decode(reply.body, _SAID).get("error")
        text = said if isinstance(said, str) and said else text
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return f"HTTP {reply.status}: {' '.join(text.split())[:_SHOWN_CHARS]}".rstrip(": ")
