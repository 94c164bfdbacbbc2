"""The two requests of the connection, over a pretended HTTP port."""

from collections.abc import Callable, Mapping

import pytest

from stepwell.sdk.connect.backoff import StartFailure
from stepwell.sdk.connect.handshake import FlushFailure, Handshake
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.wire.connect_decode import decode_start_request
from stepwell.wire.connect_encode import encode_start_response
from stepwell.wire.connect_word import StartRequest, StartResponse

ANSWER = StartResponse("C1", "ws://gateway:8289/v0/connect", "group", "s", "y")


class Port:
    """Answers with what it is told, and remembers what it was asked."""

    def __init__(self, *answers: HttpReply | NetworkError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        assert method == "POST"
        self.asked.append((url, dict(headers), body or b""))
        answer = self.answers.pop(0)
        if isinstance(answer, NetworkError):
            raise answer
        return answer

    def request_sync(self, *_: object, **__: object) -> HttpReply:
        raise AssertionError("a worker never blocks")


def reply(status: int, body: bytes = b"") -> HttpReply:
    return HttpReply(status, {}, body)


def handshake(
    port: Port,
    tokens: tuple[str, ...] = ("Bearer one", "Bearer two"),
    rewrite: Callable[[str], str] | None = None,
) -> Handshake:
    return Handshake(
        lambda: port, origin="http://api/", headers={"x": "y"}, tokens=tokens, rewrite=rewrite
    )


async def test_w05_a_start_call_names_its_key_and_what_to_avoid() -> None:
    port = Port(reply(200, encode_start_response(ANSWER)))
    assert await handshake(port).start(1, ("bad",)) == ANSWER
    url, headers, body = port.asked[0]
    assert url == "http://api/v0/connect/start"
    assert headers["authorization"] == "Bearer two"
    assert headers["content-type"] == "application/protobuf"
    assert headers["x"] == "y"
    assert decode_start_request(body) == StartRequest(("bad",))


async def test_start_calls_have_a_client_of_their_own_until_they_are_sent_elsewhere() -> None:
    shared, plain = Port(reply(200, encode_start_response(ANSWER))), Port(reply(307))
    calls = Handshake(lambda: shared, origin="http://api", headers={}, tokens=(), start_http=plain)
    assert await calls.start(0, ()) == ANSWER
    assert (len(shared.asked), len(plain.asked)) == (1, 1)
    shared.answers.append(reply(200, encode_start_response(ANSWER)))
    assert await calls.start(0, ()) == ANSWER
    assert (len(shared.asked), len(plain.asked)) == (2, 1)


async def test_without_keys_no_token_is_sent() -> None:
    port = Port(reply(200, encode_start_response(ANSWER)))
    await handshake(port, ()).start(0, ())
    assert "authorization" not in port.asked[0][1]


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (
            reply(401, b"Authentication failed"),
            StartFailure("HTTP 401: Authentication failed", 401),
        ),
        (
            reply(429, b'{"error":"too many","status":429}'),
            StartFailure("HTTP 429: too many", 429),
        ),
        (reply(500), StartFailure("HTTP 500", 500)),
        (reply(500, b'{"error":7}'), StartFailure('HTTP 500: {"error":7}', 500)),
        (NetworkError("refused"), StartFailure("refused")),
    ],
)
async def test_failed_start_calls(answer: HttpReply | NetworkError, failure: StartFailure) -> None:
    assert await handshake(Port(answer)).start(0, ()) == failure


async def test_answers_that_are_no_good() -> None:
    nonsense = await handshake(Port(reply(200, b"\xff\xff"))).start(0, ())
    assert isinstance(nonsense, StartFailure)
    assert "StartResponse" in nonsense.message
    for endpoint, words in (
        ("http://x", "must begin with ws"),
        ("ws://", "names no host"),
        ("ws://[", "is no URL"),
        ("ws://x:99999", "is no URL"),
    ):
        answer = StartResponse("C", endpoint, "g", "s", "y")
        failure = await handshake(Port(reply(200, encode_start_response(answer)))).start(0, ())
        assert isinstance(failure, StartFailure)
        assert words in failure.message


async def test_a_rewrite_that_raises_is_a_failure() -> None:
    def broken(endpoint: str) -> str:
        raise RuntimeError("no such proxy")

    port = Port(reply(200, encode_start_response(ANSWER)))
    failure = await handshake(port, rewrite=broken).start(0, ())
    assert isinstance(failure, StartFailure)
    assert "no such proxy" in failure.message


async def test_w21_a_flush_remembers_the_key_that_worked() -> None:
    port = Port(reply(401), reply(200), reply(200), reply(403), reply(200))
    shaking = handshake(port)
    for _ in range(3):
        assert await shaking.flush(b"answer") is None
    keys = [headers["authorization"][7:] for _, headers, _ in port.asked]
    assert keys == ["one", "two", "two", "two", "one"]
    assert port.asked[0][0] == "http://api/v0/connect/flush"
    assert port.asked[0][2] == b"answer"


async def test_failed_flushes() -> None:
    assert await handshake(Port(reply(401), reply(403))).flush(b"") == FlushFailure("HTTP 403", 403)
    assert await handshake(Port(reply(400, b"bad"))).flush(b"") == FlushFailure(
        "HTTP 400: bad", 400
    )
    assert await handshake(Port(NetworkError("away"))).flush(b"") == FlushFailure("away")
    assert await handshake(Port(reply(503)), ()).flush(b"") == FlushFailure("HTTP 503", 503)
