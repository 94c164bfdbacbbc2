"""BlackSheep keeps the contract of adapters, on granian."""

from contextlib import AbstractContextManager
from typing import Any

from blacksheep import Application, Router
from blacksheep.server.authorization import Policy
from blacksheep.server.csrf import AntiForgeryHandler
from guardpost.common import AuthenticatedRequirement

import stepwell.blacksheep
from stepwell.testing.contract.adapter import AdapterContract
from tests.contract.adapters.servers import granian_serves
from tests.contract.adapters.shown import Shown


class TestBlackSheep(AdapterContract):
    shown = Shown("BlackSheep", "stepwell.blacksheep", "granian", ("blacksheep", "granian"))
    framework = "blacksheep"

    def serving(
        self, client: Any, functions: Any, *, mount: str = "", **options: Any
    ) -> AbstractContextManager[str]:
        app = Application(router=Router())
        app.use_authentication()
        app.use_authorization().default_policy = Policy("known", AuthenticatedRequirement())
        app.middlewares.append(AntiForgeryHandler())
        stepwell.blacksheep.serve(app, client, functions, **options)
        if not mount:
            return granian_serves(app)
        outer = Application(router=Router())
        outer.mount_registry.auto_events = True
        outer.mount(mount, app)
        return granian_serves(outer)
