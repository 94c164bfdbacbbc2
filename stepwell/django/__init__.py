"""Stepwell in a Django project: functions served by a URL, events sent on commit, commands, tasks.

    urlpatterns = [stepwell.django.serve(client, [function])]

As an app (`INSTALLED_APPS = [..., "stepwell.django"]`) it imports the module `inngest_functions` of
every other app, and brings `manage.py stepwell_dev`, `manage.py stepwell_worker` and a backend for
Django's tasks, `stepwell.django.task_backend.StepwellBackend`.
"""

from stepwell.django.discovery import functions_of, get_client
from stepwell.django.endpoint import endpoint
from stepwell.django.on_commit import send_on_commit
from stepwell.django.refused import RefusalsMiddleware
from stepwell.django.run_errors import RunErrorsMiddleware
from stepwell.django.serving import FRAMEWORK, serve

__all__ = [
    "FRAMEWORK",
    "RefusalsMiddleware",
    "RunErrorsMiddleware",
    "endpoint",
    "functions_of",
    "get_client",
    "send_on_commit",
    "serve",
]
