"""What a project finds, sends and keeps fresh."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import pytest
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.test import override_settings

import stepwell
from stepwell.django import functions_of, get_client, send_on_commit
from stepwell.django.connections import (
    ConnectionsMiddleware,
    fresh_connections,
    freshen_shared_thread,
)
from stepwell.django.discovery import add_function
from stepwell.sdk.execution import pool
from stepwell.sdk.send.delivery import Delivery, EventBatch
from tests.django_project.shop.inngest import client, other

assert tests.django_project


# Discovery


def test_functions_are_found_by_client() -> None:
    assert get_client() is client
    assert [function.local_id for function in functions_of(client)] == [
        "greet",
        "greet-later",
        "where",
        "django-tasks",
    ]
    assert [function.local_id for function in functions_of(other)] == ["elsewhere"]


def test_functions_added_to_a_client_are_nobody_elses_when_it_is_gone() -> None:
    for turn in range(50):
        gone = stepwell.Inngest(app_id=f"gone-{turn}", is_production=False)
        assert functions_of(gone) == []  # whatever lived at its address before
        trigger = stepwell.TriggerEvent(event="shop/a")
        add_function(gone, gone.create_function(fn_id="x", trigger=trigger)(_nothing))


async def _nothing(ctx: stepwell.Context) -> None: ...


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "is missing"),
        ({"CLIENT": "tests.django_project.shop.nowhere.client"}, "nowhere"),
        ({"CLIENT": "tests.django_project.shop.inngest_functions.greet"}, "is a Function"),
    ],
)
def test_a_client_that_is_none(said: dict[str, str], words: str) -> None:
    with override_settings(STEPWELL=said), pytest.raises(ImproperlyConfigured, match=words):
        get_client()


# Checks


def blocking(get_response: Any) -> Any:
    """Middleware that cannot be asynchronous."""
    return get_response


def test_checks_name_what_is_wrong_with_the_settings() -> None:
    assert run_checks() == []
    with override_settings(STEPWELL={"CLIENT": "tests.nowhere.client"}):
        (error,) = run_checks()
    assert (error.id, "tests.nowhere" in error.msg) == ("stepwell.E001", True)
    middleware = [*settings.MIDDLEWARE, f"{__name__}.blocking"]
    with override_settings(MIDDLEWARE=middleware):
        assert run_checks() == []
        with override_settings(ASGI_APPLICATION="tests.nowhere.application"):
            (warning,) = run_checks()
    assert (warning.id, f"{__name__}.blocking" in warning.msg) == ("stepwell.W001", True)


# Sending on commit


class Port:
    """Takes events, and remembers them."""

    def __init__(self) -> None:
        self.batches: list[EventBatch] = []

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        self.batches.append(batch)
        return Delivery(200, ("id",) * batch.count)

    async def deliver(self, batch: EventBatch) -> Delivery:
        return self.deliver_sync(batch)


@pytest.fixture
def port() -> Any:
    client.event_port = port = Port()
    yield port
    client.event_port = None


PAID = stepwell.Event(name="shop/paid", data={"order": 1})


def test_events_wait_for_the_commit(port: Port) -> None:
    with transaction.atomic():
        send_on_commit(client, PAID)
        with transaction.atomic():
            send_on_commit(client, [{"name": "shop/packed"}])
        assert not port.batches
    assert [b"shop/paid" in batch.body for batch in port.batches] == [True, False]


def test_nothing_is_sent_after_a_rollback(port: Port) -> None:
    with pytest.raises(ValueError, match="no"), transaction.atomic():
        send_on_commit(client, PAID)
        raise ValueError("no")
    assert not port.batches


def test_outside_of_a_transaction_they_are_sent_now(port: Port) -> None:
    send_on_commit(client, PAID)
    assert len(port.batches) == 1


def test_malformed_events_are_refused_at_once(port: Port) -> None:
    with transaction.atomic(), pytest.raises(stepwell.EventValidationError, match="name"):
        send_on_commit(client, {"name": ""})
    assert not port.batches


# Connections


def query() -> Any:
    """Use the database in this thread; gives the raw connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return connections["default"].connection


async def test_connections_of_threads_are_given_back() -> None:
    def work() -> object:
        assert query() is not None
        return connections["default"]

    used: Any = await pool.in_thread(pool.handlers, work)
    assert used.connection is None  # CONN_MAX_AGE is 0
    assert (await pool.in_thread(pool.handlers, work)).connection is None
    assert fresh_connections in pool._surroundings


def test_a_kept_connection_that_is_too_old_is_closed_before_the_next_work() -> None:
    with ThreadPoolExecutor(1) as thread:

        def work() -> Any:
            with fresh_connections():
                assert connections["default"].connection is None
                query()
                connections["default"].close_at = 0.0  # as if it had been open for too long
                return connections["default"]

        for _ in range(2):
            thread.submit(query).result()
            connections_here: Any = thread.submit(lambda: connections["default"]).result()
            thread.submit(lambda: setattr(connections["default"], "close_at", 0.0)).result()
            assert connections_here.connection is not None
            assert thread.submit(work).result().connection is None


def test_connections_of_the_thread_of_coroutines_are_given_back() -> None:
    executor = SyncToAsync.single_thread_executor
    assert executor.submit(query).result() is not None
    freshen_shared_thread()
    wrapper = executor.submit(lambda: connections["default"]).result()
    assert wrapper.connection is None


def test_a_worker_does_so_around_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Semaphore(0)
    monkeypatch.setattr("stepwell.django.connections.freshen_shared_thread", done.release)
    middleware: Any = ConnectionsMiddleware(client, None)
    middleware.transform_input(None, None, None)
    middleware.before_response()
    assert done.acquire(timeout=1) and done.acquire(timeout=1)
