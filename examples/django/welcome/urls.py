"""The endpoint, and views that run a function."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

import stepwell
import stepwell.django
from welcome.inngest import client
from welcome.inngest_functions import welcome


def welcome_now(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(client.invoke_sync(welcome, data={"name": name}, timeout="10s"))


def start(request: HttpRequest, name: str) -> HttpResponse:
    """The id of the run, at once."""
    return HttpResponse(client.invoke_sync(welcome, data={"name": name}, wait=False))


@transaction.atomic
def arrive(request: HttpRequest, name: str) -> HttpResponse:
    """The event is sent when the transaction is committed, and not before."""
    stepwell.django.send_on_commit(
        client, stepwell.Event(name="visitor/arrived", data={"name": name})
    )
    return HttpResponse("noted")


urlpatterns = [
    stepwell.django.serve(client, stepwell.django.functions_of(client)),
    path("welcome/<name>", welcome_now),
    path("start/<name>", start),
    path("arrive/<name>", arrive),
]
