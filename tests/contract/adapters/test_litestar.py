"""Litestar keeps the contract of adapters, on granian."""

from contextlib import AbstractContextManager
from typing import Any

from litestar import Litestar, Router
from litestar.config.csrf import CSRFConfig
from litestar.exceptions import NotAuthorizedException
from litestar.middleware import (
    AbstractAuthenticationMiddleware,
    AuthenticationResult,
    DefineMiddleware,
)
from litestar.middleware.rate_limit import RateLimitConfig

import stepwell.litestar
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import granian_serves
from tests.contract.adapters.shown import Shown


def nobody(connection: Any, handler: Any) -> None:
    """A guard of the whole application."""
    raise NotAuthorizedException


class Login(AbstractAuthenticationMiddleware):
    """Nobody gets in."""

    async def authenticate_request(self, connection: Any) -> AuthenticationResult:
        raise NotAuthorizedException


PROTECTED: dict[str, Any] = {
    "guards": [nobody],
    "csrf_config": CSRFConfig(secret="for tests alone"),
    "middleware": [DefineMiddleware(Login), RateLimitConfig(rate_limit=("hour", 1)).middleware],
    "request_max_body_size": 1000,
}


class TestLitestar(AdapterContract):
    shown = Shown(
        "Litestar",
        "stepwell.litestar",
        "granian",
        ("litestar", "granian"),
        "any; its 10 MB do not apply",
    )
    framework = "litestar"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        if mount:
            router = Router(mount, route_handlers=[])
            stepwell.litestar.serve(router, client, functions, **options)
            return granian_serves(Litestar([router], **PROTECTED))
        app = Litestar(**PROTECTED)
        stepwell.litestar.serve(app, client, functions, **options)
        return granian_serves(app)
