"""The endpoint in Django projects: its URL, its exemptions, and frameworks that live beside it."""

import json
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import django.urls
import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import include, path

import stepwell
import stepwell.django
from stepwell.testing.contract.adapter_peer import InngestServer, call_body
from tests.contract.adapters.test_django import urls_of

assert tests.django_project
URL = "/api/inngest"


def an_app() -> tuple[stepwell.Inngest, list[Any]]:
    client = stepwell.Inngest(app_id="a", is_dev=True)

    @client.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event="x"))
    async def f(ctx: stepwell.Context) -> int:
        return len(str(ctx.event.data))

    return client, [f]


def serving(*more: Any, **options: Any) -> Any:
    client, functions = an_app()
    pattern = stepwell.django.serve(client, functions, **options)
    return override_settings(ROOT_URLCONF=urls_of(pattern, *more))


@pytest.mark.parametrize("url", [URL, f"{URL}/"])
def test_with_and_without_a_slash(url: str) -> None:
    with serving():
        assert Client().get(url).status_code == 200
        called = Client().post(f"{url}?fnId=a-f", call_body({}, {}), "application/json")
        assert (called.status_code, called.json()) == (200, 2)


def test_nothing_else_is_matched() -> None:
    with serving(serve_path="/x.y/inngest"):
        assert Client().get("/x.y/inngest").status_code == 200
        assert Client().get("/xzy/inngest").status_code == 404
        assert Client().get("/x.y/inngest/z").status_code == 404
        assert django.urls.reverse("inngest_api_a") == "/x.y/inngest"


def test_unknown_hosts_are_no_trouble() -> None:
    """Without the middleware that refuses them for the whole project."""
    with serving(), override_settings(ALLOWED_HOSTS=["shop.test"], MIDDLEWARE=[]):
        assert Client().get(URL, headers={"host": "host.docker.internal:8000"}).status_code == 200


@pytest.mark.parametrize("believed", [True, False])
def test_a_proxy_is_believed_as_the_settings_say(believed: bool) -> None:
    server = InngestServer()
    client = stepwell.Inngest(app_id="a", is_dev=True, base_url=server.url)
    pattern = stepwell.django.serve(client, [])
    said = {"x-forwarded-host": "app.test", "x-forwarded-proto": "https", "host": "inner.test"}
    with override_settings(
        ROOT_URLCONF=urls_of(pattern),
        USE_X_FORWARDED_HOST=believed,
        SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https") if believed else None,
    ):
        assert Client().put(URL, headers=said).status_code == 200
    server.close()
    origin = "https://app.test" if believed else "http://inner.test"
    assert server.asked[-1][3]["url"] == f"{origin}{URL}"


def test_large_bodies() -> None:
    body = call_body({"text": "x" * 3_000_000}, {})
    with serving():
        answer = Client().post(f"{URL}?fnId=a-f", body, "application/json")
    assert (answer.status_code, answer.json()) == (200, 3_000_012)


async def test_large_bodies_behind_asgi() -> None:
    body = call_body({"text": "x" * 3_000_000}, {})
    with serving():
        answer = await AsyncClient().post(f"{URL}?fnId=a-f", body, content_type="application/json")
    assert (answer.status_code, answer.json()) == (200, 3_000_012)


SEEN: list[int] = []


def reads(get_response: Any) -> Any:
    """Middleware that wants bodies."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "early" in request.GET:
            SEEN.append(len(request.body))
        response: HttpResponse = get_response(request)
        SEEN.append(len(request.body))
        return response

    return middleware


def test_middleware_may_have_read_the_body_or_read_it_later() -> None:
    SEEN.clear()
    body = call_body({"text": "x"}, {})
    with serving(), override_settings(MIDDLEWARE=[f"{__name__}.reads"]):
        for more in ("&early=1", ""):
            answer = Client().post(f"{URL}?fnId=a-f{more}", body, "application/json")
            assert answer.status_code == 200
    assert [len(body)] * 3 == SEEN


def test_beside_rest_framework() -> None:
    from rest_framework.decorators import api_view
    from rest_framework.response import Response

    @api_view(["POST"])
    def other(request: Any) -> Any:
        return Response({"n": request.data["n"]})

    other.login_required = False
    with serving(path("api/other", other)):
        assert Client().post("/api/other", {"n": 1}, "application/json").status_code == 403
        called = Client().post(f"{URL}?fnId=a-f", call_body({}, {}), "application/json")
    assert (called.status_code, called.json()) == (200, 2)


def test_inside_rest_framework_the_endpoint_is_refused_at_once() -> None:
    from rest_framework.decorators import api_view, permission_classes

    client, functions = an_app()
    inner: Any = stepwell.django.serve(client, functions).callback
    wrapped = api_view(["POST"])(permission_classes([])(inner))
    wrapped.login_required = False
    urls = urls_of(path("", include([path("api/inngest", wrapped)])))
    with override_settings(ROOT_URLCONF=urls):
        (error,) = run_checks()
        assert error.id == "stepwell.E002"
        assert "inside of a view of rest_framework.views" in error.msg
        with pytest.raises(ImproperlyConfigured, match="inside of a view of rest_framework"):
            Client().post(f"{URL}?fnId=a-f", call_body({}, {}), "application/json")
    with serving():
        assert run_checks() == []


def test_beside_ninja() -> None:
    import ninja
    import ninja.security

    class Nobody(ninja.security.HttpBearer):
        def authenticate(self, request: Any, token: str) -> None:
            return None

    api = ninja.NinjaAPI(auth=Nobody(), urls_namespace="beside")

    @api.get("/other")
    def other(request: Any) -> int:
        return 1

    with serving(path("ninja/", api.urls)):
        assert Client().get("/ninja/other").status_code in {302, 401}
        called = Client().post(f"{URL}?fnId=a-f", call_body({}, {}), "application/json")
        assert (called.status_code, called.json()) == (200, 2)
    assert URL not in json.dumps(api.get_openapi_schema(path_prefix=""))
