"""The app: what Django does when "stepwell.django" is installed."""

from django.apps import AppConfig
from django.core.checks import register

from stepwell.django.checks import check_client, check_middleware, check_routes
from stepwell.django.connections import keep_fresh
from stepwell.django.discovery import import_functions


class StepwellConfig(AppConfig):
    """Finds the project's functions, and keeps their database connections fresh."""

    name = "stepwell.django"
    label = "stepwell"
    verbose_name = "Stepwell"

    def ready(self) -> None:
        """Import `inngest_functions` of every app, and judge the settings at `manage.py check`."""
        keep_fresh()
        import_functions()
        register(check_client)
        register(check_middleware)
        register(check_routes)
