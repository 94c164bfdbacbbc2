"""The first version answers with the status that its body names: no 200 for an error, no 500 for
what is not there."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.server.api.harness import Api, function, serving

NONE = "01JQDAE4RQ0000000000000009"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x"))
        yield made


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v1/events?received_after=soon", 400, "Invalid received_after query parameter"),
        ("GET", "/v1/events?received_before=soon", 400, "Invalid received_before query parameter"),
        ("GET", "/v1/events?cursor=x", 400, "Invalid cursor query parameter"),
        ("GET", "/v1/events/x", 400, "Invalid event ID: x"),
        ("GET", f"/v1/events/{NONE}", 404, "Event not found"),
        ("GET", "/v1/runs/x", 400, "Invalid run ID: x"),
        ("GET", f"/v1/runs/{NONE}", 404, f"Unable to load function run: {NONE}"),
        ("GET", f"/v1/runs/{NONE}/jobs", 404, f"Unable to load function run: {NONE}"),
        ("DELETE", f"/v1/runs/{NONE}", 404, f"Unable to load function run: {NONE}"),
        ("POST", f"/v1/runs/{NONE}/rerun", 404, "Run not found"),
        ("POST", "/v1/signals", 400, "the signal cannot be read"),
        ("GET", f"/v1/cancellations/{NONE}", 404, "Cancellation not found"),
        ("GET", "/v1/runs/", 404, "there is nothing at /v1/runs/"),
        ("PUT", "/v1/runs", 405, "PUT is not allowed at /v1/runs"),
        ("GET", "/v0/runs/x/batch", 400, "The run ID specified is invalid"),
        ("GET", f"/v0/runs/{NONE}/actions", 410, "runtime state is no longer available"),
        ("DELETE", "/fn/remove?url=http://none.test/x", 404, "App not found: http://none.test/x"),
    ],
)
async def test_an_error_has_its_status(
    api: Api, method: str, path: str, status: int, said: str
) -> None:
    answer = await api.http.request(method, path)
    told = answer.json()
    assert (answer.status_code, told["status"], told["data"]) == (status, status, None)
    assert told["error"].startswith(said)


@pytest.mark.parametrize(
    ("path", "told"),
    [(f"/v1/events/{NONE}/runs", []), ("/v1/runs", []), ("/v1/cancellations", [])],
)
async def test_a_list_with_nothing_in_it_is_no_error(api: Api, path: str, told: object) -> None:
    answer = await api.http.get(path)
    assert (answer.status_code, answer.json()["data"]) == (200, told)


async def test_what_is_gone_is_no_cached_answer(api: Api) -> None:
    event_id = await api.send("x")
    path = f"/v1/events/{event_id}/runs"
    (run,) = (await api.http.get(path)).json()["data"]
    await api.http.delete(f"/v1/runs/{run['run_id']}")
    (ended,) = (await api.http.get(path)).json()["data"]
    assert (run["status"], ended["status"]) == ("Scheduled", "Cancelled")
    assert "cached_until" not in (await api.http.get(path)).json()["metadata"]
    assert (await api.http.delete(f"/v1/runs/{run['run_id']}")).status_code == 200
