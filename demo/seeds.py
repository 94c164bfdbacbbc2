"""Fills a server that has the tour's app with runs of every shape, by its public API."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

STUDIOS = ("north", "north", "north", "north", "south", "south", "south", "west")


class Server:
    """What is asked of a server at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, body: object = None) -> Any:
        """The JSON of an answer; a body is posted."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self._url}/{path}", data, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
            return json.load(answer)

    def send(self, name: str, /, *, ts_ms: int | None = None, **data: object) -> str:
        """Sends an event; gives its id."""
        event: dict[str, object] = {"name": name, "data": data}
        if ts_ms is not None:
            event["ts"] = ts_ms
        return str(self.ask("e/tour", event)["ids"][0])

    def run_of(self, event: str) -> dict[str, Any] | None:
        """The run an event started, if it has one by now."""
        runs = self.ask(f"api/v2/events/{event}/runs")["data"]
        return runs[0] if runs else None


def fill(url: str, until: Callable[[str, Callable[[], bool]], None]) -> dict[str, str]:
    """Sends everything and waits until each run stands as it should; gives the run of each seed, by
    name. `until` waits for something, which it is told in words."""
    server = Server(url)
    events = _sent(server)
    runs: dict[str, str] = {}

    def found(name: str, *statuses: str) -> None:
        def stands() -> bool:
            run = server.run_of(events[name])
            if run is None or (statuses and run["status"] not in statuses):
                return False
            runs[name] = run["id"]
            return True

        until(f"the run of {name}", stands)

    for name in events:
        if name not in ("waiting", "cancelled", "retrying"):
            found(name, "COMPLETED")
    found("waiting", "RUNNING")
    found("cancelled", "RUNNING")
    server.ask(f"api/v2/runs/{runs['cancelled']}/cancel", {})
    found("cancelled", "CANCELLED")
    found("retrying", "FAILED")
    return runs


def _sent(server: Server) -> dict[str, str]:
    retrying = server.send("ledger/closed", day="2026-11-30")
    for studio in STUDIOS:
        server.send("video/uploaded", studio=studio, seconds=600)
    for order in range(12):
        server.send("order/placed", order=order)
    documents = [server.send("document/saved", name=f"page-{n}.md") for n in range(5)]
    return {
        "one step": server.send("visitor/arrived", name="Ada"),
        "a thousand steps": server.send("rows/uploaded", rows=1_000),
        "a hundred at once": server.send("album/shared", album=7),
        "waiting": server.send("refund/asked", order=7),
        "cancelled": server.send("report/asked", year=2026),
        "batch": documents[0],
        "a tree": server.send("folder/opened", depth=5),
        "an agent": server.send("question/asked", question="May I send it back?"),
        "huge": server.send("catalogue/asked"),
        "many scripts": server.send("bestellung/größe", größe="XL", 注文="七"),
        "clock skew": server.send(
            "visitor/arrived", name="Grace", ts_ms=int(time.time() * 1000) - 7_200_000
        ),
        "retrying": retrying,
    }
