"""The endpoint's URL and the reading of headers and queries."""

import pytest

from stepwell.sdk.serve.request import public_url, read_headers, read_query, route_name
from stepwell.sdk.settings import ServeOptions, resolve_serve

URL = "http://10.0.0.7:3000/api/inngest?fnId=a-b&stepId=step&deployId=1#x"


def url(headers: dict[str, str] | None = None, url: str = URL, **options: object) -> str:
    settings = resolve_serve(ServeOptions(**options), {}, "cloud")  # type: ignore[arg-type]
    return public_url(url, headers or {}, settings)


def test_f41_query_and_fragment_never_leak() -> None:
    assert url() == "http://10.0.0.7:3000/api/inngest"


def test_origin_and_path_are_replaced() -> None:
    assert url(serve_origin="https://me.test") == "https://me.test/api/inngest"
    assert url(serve_origin="me.test:81") == "https://me.test:81/api/inngest"
    assert url(serve_path="/x/inngest") == "http://10.0.0.7:3000/x/inngest"
    assert url(serve_path="/x", public_path="y") == "http://10.0.0.7:3000/y"
    assert url(serve_origin="https://me.test", public_path="/z") == "https://me.test/z"
    assert url(serve_origin="https://me.test/app") == "https://me.test/app/api/inngest"


def test_a_lost_path_becomes_the_usual_one() -> None:
    assert url(url="http://h.test") == "http://h.test/api/inngest"


FORWARDED = {
    "x-forwarded-proto": "https, http",
    "x-forwarded-host": "public.test",
    "x-forwarded-prefix": "/shop/",
}


def test_proxies_are_believed_only_when_trusted() -> None:
    assert url(FORWARDED) == "http://10.0.0.7:3000/api/inngest"
    assert url(FORWARDED, trust_proxy=True) == "https://public.test/shop/api/inngest"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"forwarded": 'for=1.2.3.4;proto=https;host="p.test"'}, "https://p.test/api/inngest"),
        ({"x-forwarded-host": "p.test", "x-forwarded-port": "81"}, "http://p.test:81/api/inngest"),
        (
            {"x-forwarded-proto": "https", "x-forwarded-host": "p.test", "x-forwarded-port": "443"},
            "https://p.test/api/inngest",
        ),
        ({"x-forwarded-proto": "javascript"}, "http://10.0.0.7:3000/api/inngest"),
    ],
)
def test_f25_what_proxies_say(headers: dict[str, str], expected: str) -> None:
    assert url(headers, trust_proxy=True) == expected


def test_serve_origin_outranks_the_proxy() -> None:
    told = url(FORWARDED, trust_proxy=True, serve_origin="https://me.test")
    assert told == "https://me.test/shop/api/inngest"


def test_f26_headers_and_queries_keep_the_first_value() -> None:
    assert read_headers([("X-Run-Id", "1"), ("x-run-id", "2")]) == {"x-run-id": "1"}
    assert read_query("fnId=a%20b&fnId=c&probe=") == {"fnId": "a b", "probe": ""}


def test_routes_have_names_that_every_framework_takes() -> None:
    assert route_name("shop") == "inngest_api_shop"
    assert route_name("my.shop app/ü") == "inngest_api_my-shop-app--"
    assert route_name("shop", "/new/inngest") == "inngest_api_shop-new-inngest"
