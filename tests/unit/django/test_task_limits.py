"""What the options of the task backend promise, kept by the engine that executes the tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import pytest
from django.conf import settings
from django.test import override_settings

from stepwell.django import discovery
from stepwell.django.task_backend import StepwellBackend, tasks
from stepwell.embedded import Engine
from tests.django_project.shop import tasks as shop
from tests.django_project.shop.inngest import client

assert tests.django_project
ALIAS = "limited"
PATH = "stepwell.django.task_backend.StepwellBackend"


@pytest.fixture(autouse=True)
def desk(monkeypatch: pytest.MonkeyPatch) -> shop.Desk:
    fresh = shop.Desk()
    monkeypatch.setattr(shop, "desk", fresh)
    return fresh


@asynccontextmanager
async def serving(concurrency: int) -> AsyncIterator[tuple[StepwellBackend, Engine]]:
    """A backend with this option, and the engine that executes its tasks."""
    options = {"retries": 0, "concurrency": concurrency}
    chosen = {"BACKEND": PATH, "OPTIONS": options, "QUEUES": []}
    with override_settings(TASKS={**settings.TASKS, ALIAS: chosen}):
        backend = tasks.task_backends[ALIAS]
        try:
            async with Engine(client, [backend.function], database=":memory:") as engine:
                yield backend, engine
        finally:
            discovery._beyond[client].pop(backend.function.id)


async def enqueue(backend: StepwellBackend, task: Any, name: str, **using: Any) -> str:
    chosen = task.using(backend=ALIAS, **using)
    result = await backend.aenqueue(chosen, [name], {})
    return str(result.id)


async def test_so_many_tasks_of_a_queue_run_at_once(desk: shop.Desk) -> None:
    async with serving(concurrency=2) as (backend, engine):
        ids = [await enqueue(backend, shop.in_pairs, str(number)) for number in range(6)]
        for one in ids:
            await engine.result_of(one, timeout_seconds=20)
    assert desk.most == 2


async def test_each_queue_has_its_own(desk: shop.Desk) -> None:
    async with serving(concurrency=1) as (backend, engine):
        ids = [
            await enqueue(backend, shop.in_pairs, name, queue_name=name) for name in ("mail", "sms")
        ]
        for one in ids:
            await engine.result_of(one, timeout_seconds=20)
    assert desk.most == 2


async def test_what_is_urgent_comes_first(desk: shop.Desk) -> None:
    async with serving(concurrency=1) as (backend, engine):
        ids = [await enqueue(backend, shop.when_open, "first")]
        while not desk.began:
            await asyncio.sleep(0.005)
        for name, priority in (("plain", 0), ("later", -50), ("urgent", 100), ("soon", 10)):
            ids.append(await enqueue(backend, shop.when_open, name, priority=priority))
        desk.open.set()
        for one in ids:
            await engine.result_of(one, timeout_seconds=20)
    assert desk.began == ["first", "urgent", "soon", "plain", "later"]
    assert desk.most == 1
