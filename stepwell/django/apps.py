"""The app: what Django does when "stepwell.django" is installed."""

from django.apps import AppConfig

from stepwell.django.connections import keep_fresh
from stepwell.django.discovery import import_functions


class StepwellConfig(AppConfig):
    """Finds the project's functions, and keeps their database connections fresh."""

    name = "stepwell.django"
    label = "stepwell"
    verbose_name = "Stepwell"

    def ready(self) -> None:
        """Import `inngest_functions` of every app."""
        keep_fresh()
        import_functions()
