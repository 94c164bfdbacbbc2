"""The WSGI adapter: what is read from an environ, as different servers fill it."""

import io
from typing import Any

import pytest

from stepwell.sdk.serve.wsgi import body_of, request_from


def environ(**changes: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "10.0.0.1",
        "SERVER_PORT": "81",
        "SCRIPT_NAME": "/sub",
        "PATH_INFO": "/api/ü".encode().decode("latin-1"),
        "QUERY_STRING": "fnId=a%20b",
        "HTTP_HOST": "h.test",
        "HTTP_X_INNGEST_SIGNATURE": "t=1&s=2",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "3",
        "wsgi.input": io.BytesIO(b"abcdef"),
        **changes,
    }


def test_requests_are_read() -> None:
    given = environ()
    request = request_from(given, body_of(given), given)
    assert request.url == "http://h.test/sub/api/%C3%BC"
    assert request.query == {"fnId": "a b"}
    assert request.headers == {
        "host": "h.test",
        "x-inngest-signature": "t=1&s=2",
        "content-type": "application/json",
        "content-length": "3",
    }
    assert (request.method, request.body) == ("POST", b"abc")
    assert request.raw is given


def test_the_host_may_be_missing() -> None:
    given = environ()
    del given["HTTP_HOST"]
    assert request_from(given, b"", None).url.startswith("http://10.0.0.1:81/")


@pytest.mark.parametrize(("ended", "body"), [(True, b"abcdef"), (False, b"")])
def test_bodies_without_a_length(ended: bool, body: bytes) -> None:
    given = environ(CONTENT_LENGTH="", **{"wsgi.input_terminated": ended})
    assert body_of(given) == body
