"""The dashboard at a URL of a Django project: for its staff, with an engine in the same process."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import tests.django_project  # isort: skip - sets Django up
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import include, path
from django.urls.resolvers import URLResolver

import stepwell
import stepwell.django.dashboard
from stepwell.embedded import Engine

assert tests.django_project
HTML = {"accept": "text/html"}


def user(name: str, *, staff: bool) -> SimpleNamespace:
    return SimpleNamespace(
        is_active=True, is_staff=staff, is_authenticated=True, get_username=lambda: name
    )


STAFF, GUEST = user("ann", staff=True), user("eve", staff=False)
STRANGER = SimpleNamespace(is_active=False, is_staff=False, is_authenticated=False)


class Site:
    """A project with the dashboard at /admin/stepwell/."""

    def __init__(self, engine: Engine) -> None:
        patterns = [path("stepwell/", stepwell.django.dashboard.urls(engine))]
        self._resolver = cast(URLResolver, path("admin/", include(patterns)))
        self._requests = RequestFactory()

    def ask(
        self, method: str, rest: str, who: object, body: object = None, **headers: str
    ) -> HttpResponse:
        address = f"/admin/stepwell/{rest}"
        data = b"" if body is None else json.dumps(body).encode()
        request: Any = self._requests.generic(
            method, address, data, "application/json", headers=headers
        )
        if who is not None:
            request.user = who
        return self.view(request)

    def view(self, request: HttpRequest) -> HttpResponse:
        match = self._resolver.resolve(request.path.removeprefix("/"))
        assert match is not None
        answer = match.func(request, *match.args, **match.kwargs)
        assert isinstance(answer, HttpResponse)
        return answer


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    client = stepwell.Inngest(app_id="inner", is_production=False)

    @client.create_function(fn_id="greet", trigger=stepwell.TriggerEvent(event="visitor/came"))
    async def greet(ctx: stepwell.Context) -> str:
        return "Ada"

    engine = Engine(client, [greet], database=":memory:")
    engine.start_in_background()
    yield Site(engine)
    engine.stop_in_background()


def test_staff_get_the_page_and_act_under_their_names(site: Site) -> None:
    page = site.ask("GET", "runs", STAFF, **HTML)
    assert page.status_code == 200
    if b"is not built" not in page.content:
        assert b'<base href="/admin/stepwell/" />' in page.content
    assert "script-src 'self'" in page.headers["content-security-policy"]
    sent = site.ask("POST", "api/v2/events", STAFF, {"name": "visitor/came"})
    assert sent.status_code == 200, sent.content
    listed = site.ask("GET", "api/v2/events?limit=1", STAFF)
    assert json.loads(listed.content)["data"][0]["name"] == "visitor/came"
    session = site.ask("GET", "session", STAFF)
    assert json.loads(session.content)["data"]["name"] == "ann"


def test_a_stream_holds_no_thread(site: Site) -> None:
    answer = site.ask("GET", "api/v2/stream", STAFF)
    assert answer.content.startswith(b"retry: 5000\nevent: ready\n")


def test_others_are_sent_to_the_login_or_refused(site: Site) -> None:
    answer = site.ask("GET", "runs", STRANGER, **HTML)
    assert (answer.status_code, answer.headers["location"]) == (
        302,
        "/accounts/login/?next=/admin/stepwell/runs",
    )
    for who, headers in ((STRANGER, {}), (GUEST, HTML), (GUEST, {})):
        assert site.ask("GET", "api/v2/runs", who, **headers).status_code == 403
    assert site.ask("POST", "api/v2/events", GUEST, {"name": "a"}).status_code == 403


def test_a_page_of_another_site_steers_nothing(site: Site) -> None:
    answer = site.ask("POST", "api/v2/events", STAFF, {"name": "a"}, origin="http://evil.test")
    assert answer.status_code == 403


def test_a_project_that_knows_no_users_is_told_what_it_needs(site: Site) -> None:
    with pytest.raises(ImproperlyConfigured, match="AuthenticationMiddleware"):
        site.ask("GET", "runs", None)
