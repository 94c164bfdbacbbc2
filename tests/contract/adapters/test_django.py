"""Django keeps the contract of adapters: ASGI on daphne, WSGI on gunicorn."""

from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import tests.django_project  # isort: skip - sets Django up
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import include, path

import stepwell.django
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import daphne_serves, gunicorn_serves
from tests.contract.adapters.shown import Shown

assert tests.django_project


def urls_of(*patterns: Any) -> Any:
    """A module as ROOT_URLCONF wants it."""
    module: Any = ModuleType("urls")
    module.urlpatterns = list(patterns)
    return module


def project(client: Any, functions: Any, mount: str, options: dict[str, Any]) -> Any:
    pattern = stepwell.django.serve(client, functions, **options)
    mounted = path(f"{mount.strip('/')}/", include([pattern])) if mount else pattern
    return override_settings(ROOT_URLCONF=urls_of(mounted))


class TestDjangoAsgi(AdapterContract):
    shown = Shown(
        "Django, ASGI",
        "stepwell.django",
        "daphne",
        ("django", "daphne"),
        "any; its 2.5 MB do not apply",
    )
    framework = "django"
    in_a_child = True

    @contextmanager
    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> Generator[str]:
        with project(client, functions, mount, options), daphne_serves(ASGIHandler()) as origin:
            yield origin


class TestDjangoWsgi(AdapterContract):
    shown = Shown(
        "Django, WSGI",
        "stepwell.django",
        "gunicorn",
        ("django", "gunicorn"),
        "any; its 2.5 MB do not apply",
    )
    framework = "django"
    in_a_child = True

    @contextmanager
    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> Generator[str]:
        with project(client, functions, mount, options), gunicorn_serves(WSGIHandler()) as origin:
            yield origin
