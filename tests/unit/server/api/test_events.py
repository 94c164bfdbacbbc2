"""What may be sent, what is answered, and what a bad neighbour cannot harm."""

import json
from typing import Any

import pytest

from stepwell.server.config import Command, ServerConfig
from tests.unit.server.api.harness import KEYS, NOW_MS, Api, serving

SEED = {"x-inngest-event-id-seed": "1743130137367,AAAAAAAAAAAAAA=="}


async def stored(api: Api) -> list[dict[str, Any]]:
    answer = await api.http.get("/v1/events")
    return list(answer.json()["data"])


async def test_one_event_is_stored_and_its_id_told() -> None:
    async with serving() as api:
        answer = await api.http.post("/e/any", json={"name": "shop/order", "data": {"n": 1}})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-inngest-server-kind"] == "dev"
        body = answer.json()
        assert body["status"] == 200
        assert "error" not in body
        (event,) = await stored(api)
        assert [event["internal_id"]] == body["ids"]
        assert (event["name"], event["data"], event["ts"]) == ("shop/order", {"n": 1}, NOW_MS)


async def test_ids_are_ours_even_when_the_sender_has_his_own() -> None:
    async with serving() as api:
        answer = await api.http.post("/e/any", json=[{"name": "a", "id": "mine"}, {"name": "b"}])
        ids = answer.json()["ids"]
        assert len(set(ids)) == 2
        newest_first = await stored(api)
        known = {event["internal_id"]: event["id"] for event in newest_first}
        assert known == {ids[0]: "mine", ids[1]: ids[1]}


async def test_a_seed_makes_a_repeated_request_the_same_request() -> None:
    async with serving() as api:
        events = [{"name": "a"}, {"name": "b"}]
        for _ in range(2):
            answer = await api.http.post("/e/any", json=events, headers=SEED)
            assert answer.json()["ids"] == [
                "01JQDAE4RQ0000000000000001",
                "01JQDAE4RQ0000000000000002",
            ]
        assert len(await stored(api)) == 2


async def test_a_seed_nobody_can_read_is_ignored() -> None:
    async with serving() as api:
        for seed in ("x", "0,AAAAAAAAAAAAAA==", "5,AAAA"):
            headers = {"x-inngest-event-id-seed": seed}
            answer = await api.http.post("/e/any", json={"name": "a"}, headers=headers)
            assert answer.status_code == 200
        assert len({event["internal_id"] for event in await stored(api)}) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"name":""}', 'event name is empty; give the field "name" a text'),
        ("{}", "event name is empty"),
        ('{"name":"Inngest/x"}', "event name is reserved for internal use: Inngest/x"),
        ('{"name":"a","data":[1]}', 'event field "data" must be a JSON object, got [1]'),
        ('{"name":"a","ts":"soon"}', 'event field "ts" must be an integer'),
        ('{"name":"a","ts":1}', "timestamp is before Jan 1, 1980"),
        ('{"name":"a","ts":1767225600}', 'field "ts" is 1767225600: send milliseconds'),
        ('{"name":"a","ts":4102444800001}', "timestamp is after Jan 1, 2100"),
        ('{"name":"a","ts":1767225600000.5}', 'event field "ts" must be an integer'),
        ('{"name":"a","id":5}', 'event field "id" must be a string, got 5'),
        ('{"name":"a","v":5}', 'event field "v" must be a string, got 5'),
        ('{"name":["a"]}', 'event field "name" must be a string, got ["a"]'),
        ('{"name":"a","data":"text"}', 'event field "data" must be a JSON object, got "text"'),
        ('{"name":"a","user":5}', 'event field "user" must be a JSON object, got 5'),
        ('{"name":"a","meta":{"sessions":{"k":true}}}', 'session "k" must be a string, number'),
        (
            '{"name":"a","meta":{"sessions":{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1}}}',
            "event has 6 sessions: at most 5",
        ),
        ('{"name":"a","data":{"n":1e400}}', 'event field "data": a number is beyond the range'),
        ("[5]", "or an array of event objects; send JSON such as"),
        ("{bad", "invalid JSON"),
        ("", "Request body must contain an event object"),
        ("hello", "Request body must contain an event object"),
        ('"a"', "Request body must contain an event object"),
    ],
)
async def test_what_is_no_event_is_refused_with_its_reason(body: str, said: str) -> None:
    async with serving() as api:
        answer = await api.http.post("/e/any", content=body)
        assert answer.status_code == 400
        told = answer.json()
        assert (told["status"], told["ids"]) == (400, [])
        assert said in told["error"]
        assert await stored(api) == []


async def test_a_body_that_is_not_utf_8_is_told_so() -> None:
    async with serving() as api:
        for body in (b'{"name":"a","data":{"x":"\xff"}}', b'{"name":"\xff"}'):
            answer = await api.http.post("/e/any", content=body)
            assert answer.status_code == 400
            assert "not UTF-8" in answer.json()["error"]
            assert "encode" in answer.json()["error"]


async def test_an_empty_list_is_no_error() -> None:
    async with serving() as api:
        answer = await api.http.post("/e/any", json=[])
        assert (answer.status_code, answer.json()) == (200, {"ids": [], "status": 200})


async def test_events_before_a_bad_one_are_stored_and_listed() -> None:
    async with serving() as api:
        answer = await api.http.post("/e/any", json=[{"name": "a"}, {"name": ""}, {"name": "c"}])
        assert answer.status_code == 400
        (event,) = await stored(api)
        assert answer.json()["ids"] == [event["internal_id"]]
        assert event["name"] == "a"
        assert "(event 2 of the request; those before it are accepted)" in answer.json()["error"]


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/x-www-form-urlencoded"])
async def test_a_form_is_refused(kind: str) -> None:
    async with serving() as api:
        answer = await api.http.post("/e/any", content="name=a", headers={"content-type": kind})
        assert answer.status_code == 400
        assert "send JSON" in answer.json()["error"]


async def test_too_many_events_at_once() -> None:
    async with serving() as api:
        answer = await api.http.post("/e/any", json=[{"name": "a"}] * 5001)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("Cannot have more than 5000 events in a batch; ")
        assert len(answer.json()["ids"]) == 5000


async def test_an_event_too_large() -> None:
    async with serving() as api:
        body = json.dumps({"name": "a", "data": {"x": "y" * 3_145_728}})
        answer = await api.http.post("/e/any", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("Event is over the max size: Max 3145728 bytes")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_events_are_posted(method: str) -> None:
    async with serving() as api:
        answer = await api.http.request(method, "/e/any")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST, OPTIONS"


async def test_configured_keys_are_asked_for() -> None:
    async with serving(KEYS) as api:
        for key in ("k1", "k2"):
            assert (await api.http.post(f"/e/{key}", json={"name": "a"})).status_code == 200
        for key in ("k3", "k", "k11", "%F0%9F%98%80"):
            answer = await api.http.post(f"/e/{key}", json={"name": "a"})
            assert answer.status_code == 401
            told = answer.json()
            assert (told["status"], told["error"]) == (401, "Event key not found")
            assert "set INNGEST_EVENT_KEY to one it has" in told["message"]
        for path in ("/e/", "/e"):
            missing = await api.http.post(path, json={"name": "a"})
            assert missing.status_code == 401
            assert missing.json()["error"].startswith("Event key is required")
        assert missing.headers["x-inngest-server-kind"] == "cloud"


async def test_a_production_server_without_keys_is_closed() -> None:
    async with serving(ServerConfig(command=Command.START, signing_keys=("ab",))) as api:
        answer = await api.http.post("/e/any", json={"name": "a"})
        assert answer.status_code == 503
        assert "Event keys are required" in answer.json()["error"]


async def test_browsers_may_send_events() -> None:
    async with serving() as api:
        page = {"origin": "https://shop.example"}
        asked = {**page, "access-control-request-headers": "content-type,x-a"}
        preflight = await api.http.options("/e/any", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
        assert preflight.headers["access-control-allow-headers"] == "content-type,x-a"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        answer = await api.http.post("/e/any", json={"name": "a"}, headers=page)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["vary"] == "Origin"


async def test_a_stopping_server_asks_to_be_asked_again() -> None:
    async with serving() as api:
        await api.ledger.close()
        answer = await api.http.post("/e/any", json={"name": "a"})
        assert answer.status_code == 503
        assert "stopping" in answer.json()["error"]


async def test_a_body_in_many_pieces_is_read_whole_and_half_a_body_not_at_all() -> None:
    async with serving() as api:

        async def pieces() -> Any:
            for piece in (b'{"na', b'me":"a"', b"}"):
                yield piece

        assert (await api.http.post("/e/any", content=pieces())).status_code == 200
        messages = [
            {"type": "http.request", "body": b'{"name":"b"}', "more_body": True},
            {"type": "http.disconnect"},
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/e/any", "headers": []}
        app = api.http._transport.app  # type: ignore[attr-defined]
        await app(scope, receive, send)
        assert sent[0]["status"] == 413
        assert len(await stored(api)) == 1
