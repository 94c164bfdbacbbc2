"""A real ledger over the memory store behind the real API, on a clock that stands still."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from stepwell.server.api.app import api_app
from stepwell.server.api.deps import ApiDeps
from stepwell.server.config import Command, ServerConfig
from stepwell.server.engine.message.action import Action
from stepwell.server.engine.message.input import Job, Outcome, ReplyReceived, Work, WorkAsked
from stepwell.server.engine.row.run import AppRow
from stepwell.server.engine.rules import DEFAULT
from stepwell.server.ledger import Ledger
from stepwell.server.store.memory import MemoryStore

NOW_MS = 1_743_130_137_367
KEYS = ServerConfig(
    command=Command.START, signing_keys=("signkey-test-12345678", "abcd"), event_keys=("k1", "k2")
)
BEARER = {
    "authorization": "Bearer signkey-test-"
    "b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916c"
}


@dataclass
class StillClock:
    ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.ms


@dataclass
class Api:
    """The API, what it stands on, and what it told."""

    http: httpx.AsyncClient
    ledger: Ledger
    clock: StillClock
    deps: ApiDeps
    apps: list[AppRow] = field(default_factory=list)

    async def send(self, name: str, **data: Any) -> str:
        answer = await self.http.post("/e/k1", json={"name": name, "data": data})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["ids"][0])

    async def register(self, *functions: dict[str, Any], app: str = "shop") -> httpx.Response:
        return await self.http.post("/fn/register", json=registration(*functions, app=app))

    async def jobs(self) -> list[Job]:
        """What is due now, leased."""
        capacity = (("shop", 100), ("@gateway", 100))
        work = await self.ledger.submit(WorkAsked("0" * 22, capacity, 100, 60_000))
        assert isinstance(work, Work)
        return list(work.jobs)

    async def answer(self, job: Job, outcome: Outcome) -> None:
        lease = job.lease
        await self.ledger.submit(ReplyReceived(lease.id, lease.run_id, lease.key, outcome))


@asynccontextmanager
async def serving(config: ServerConfig | None = None) -> AsyncIterator[Api]:
    """An API in development, or as configured."""
    store, clock = MemoryStore(), StillClock()
    store.migrate()
    ledger = Ledger(store, clock, DEFAULT, _forget)
    apps: list[AppRow] = []
    deps = ApiDeps(ledger, store.reader(), clock, config or ServerConfig(), apps.append)
    transport = httpx.ASGITransport(api_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Api(http, ledger, clock, deps, apps)
    await ledger.close()


def _forget(actions: Sequence[Action]) -> None:
    """Nobody listens."""


def function(name: str, *, event: str = "", app: str = "shop", **more: Any) -> dict[str, Any]:
    """A function as an SDK registers it."""
    slug = f"{app}-{name}"
    url = f"http://127.0.0.1:3000/api/inngest?fnId={slug}&stepId=step"
    return {
        "id": slug,
        "name": name,
        "triggers": [{"event": event}] if event else [],
        "steps": {"step": {"id": "step", "name": "step", "runtime": {"type": "http", "url": url}}},
        **more,
    }


def registration(*functions: dict[str, Any], app: str = "shop") -> dict[str, Any]:
    """The body of a registration."""
    return {
        "url": "http://127.0.0.1:3000/api/inngest",
        "deployType": "ping",
        "framework": "flask",
        "appName": app,
        "sdk": "py:v0.5.19",
        "v": "0.1",
        "functions": list(functions),
    }


def step(name: str, data: Any = None, op: str = "StepRun") -> dict[str, Any]:
    """An operation as an SDK reports it."""
    return {"id": f"hash-{name}", "op": op, "displayName": name, "name": name, "data": data}


def text(value: Any) -> str:
    return json.dumps(value)
