"""Metadata and scores: what programs say of a run and its steps, from outside and with a step."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell.server.engine.message.input import Job, Progressed, Returned
from stepwell.wire import limit
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation_decode import decode_operations
from tests.unit.server.api.harness import Api, function, serving, step, text

UNKNOWN = "01JQDAE4RQ0000000000000009"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as made:
        await made.register(function("a", event="x", retries=3))
        yield made


async def begun(api: Api) -> Job:
    await api.send("x")
    (job,) = await api.jobs()
    return job


def charged(data: int = 1, **more: Any) -> Progressed:
    """A report of the step `charge`."""
    operation = {**step("charge", data), "id": step_hash("charge"), **more}
    return Progressed(decode_operations(text([operation]).encode()))


async def say(api: Api, run_id: str, said: list[dict[str, Any]], /, **target: Any) -> None:
    body = {"target": target, "metadata": said}
    answer = await api.http.post(f"/v1/runs/{run_id}/metadata", json=body)
    assert (answer.status_code, answer.json()["data"]) == (200, {"run_id": run_id}), answer.text


async def told(api: Api, run_id: str) -> tuple[list[Any], list[Any]]:
    """What the trace tells of the run, and of its first step."""
    answer = await api.http.get(f"/v2/runs/{run_id}/trace")
    root = answer.json()["data"]["rootSpan"]
    first = root["children"][0] if root["children"] else {}
    brief = ("scope", "kind", "values")
    return tuple(
        [tuple(one[name] for name in brief) for one in span.get("metadata", ())]
        for span in (root, first)
    )  # type: ignore[return-value]


async def test_updates_are_made_of_what_was_said_before(api: Api) -> None:
    job = await begun(api)
    kind = "userland.order"
    await say(api, job.run.id, [{"kind": kind, "values": {"a": 1, "b": {"c": [2]}}}])
    await say(api, job.run.id, [{"kind": kind, "op": "add", "values": {"a": 0.5, "n": 2}}])
    await say(api, job.run.id, [{"kind": kind, "op": "delete", "values": {"b": None}}])
    await say(api, job.run.id, [{"kind": "userland.x", "op": "set", "values": {"y": "z"}}])
    run, _ = await told(api, job.run.id)
    assert run == [("run", kind, {"a": 1.5, "n": 2}), ("run", "userland.x", {"y": "z"})]
    await say(api, job.run.id, [{"kind": kind, "op": "set", "values": {}}])
    assert ("run", kind, {}) in (await told(api, job.run.id))[0]


async def test_what_a_failed_step_was_handed_takes_no_room_of_what_is_said(api: Api) -> None:
    job = await begun(api)
    handed = ["x" * limit.METADATA_RUN_BYTES_MAX]
    error = {"name": "E", "message": "m"}
    await api.answer(job, charged(op="StepError", error=error, opts={"input": handed}))
    await say(api, job.run.id, [{"kind": "userland.x", "values": {"n": 1}}])


async def test_steps_are_named_by_their_id_in_the_code_or_on_the_wire(api: Api) -> None:
    job = await begun(api)
    await api.answer(job, charged())
    said = [{"kind": "userland.x", "values": {"n": 1}}]
    await say(api, job.run.id, said, step_id="charge")
    await say(api, job.run.id, [{**said[0], "op": "add"}], step_id=step_hash("charge"))
    await say(api, job.run.id, said, step_id="charge", step_attempt=2)
    await say(api, job.run.id, said, step_id="charge", step_index=1)
    _, charge = await told(api, job.run.id)
    assert charge == [
        ("step", "userland.x", {"n": 2}),
        ("step_attempt", "userland.x", {"n": 1}),
    ]


async def test_an_operation_brings_metadata_of_its_step_once(api: Api) -> None:
    job = await begun(api)
    add = {"kind": "userland.n", "op": "add", "values": {"n": 1}}
    told_by_step = [add, {**add, "scope": "run"}, {**add, "scope": "step_attempt"}]
    await api.answer(job, charged(metadata=told_by_step))
    run, charge = await told(api, job.run.id)
    assert run == [("run", "userland.n", {"n": 1})]
    assert [(scope, values) for scope, _, values in charge] == [
        ("step", {"n": 1}),
        ("step_attempt", {"n": 1}),
    ]
    # A step that is over says nothing more: its report came twice.
    (job,) = await api.jobs()
    await api.answer(job, charged(metadata=told_by_step))
    assert await told(api, job.run.id) == (run, charge)


@pytest.mark.parametrize(
    "said",
    [
        [{"kind": 7}],
        [{"kind": "userland.n", "op": "add", "values": {"n": "no number"}}],
        [{"kind": "userland.n", "values": {"n": "x" * limit.METADATA_SPAN_BYTES_MAX}}],
        [{"kind": "u" * 200, "values": {}}],
        "nothing",
    ],
)
async def test_a_step_is_not_lost_to_metadata_nobody_can_keep(api: Api, said: Any) -> None:
    job = await begun(api)
    await api.answer(job, charged(metadata=said))
    assert await told(api, job.run.id) == ([], [])
    (job,) = await api.jobs()
    assert job.run.version == -1 or api.deps.reader.steps(job.run.id)
    assert [one.name for one in api.deps.reader.steps(job.run.id)] == ["charge"]


async def test_what_can_be_kept_of_a_step_is_kept(api: Api) -> None:
    job = await begun(api)
    said = [
        {"kind": "userland.n", "op": "add", "values": {"n": "no number"}},
        {"kind": "inngest.score", "values": {"good": {"value": "no score"}}},
        {"kind": "userland.x", "op": "set", "values": {"y": "z"}},
    ]
    await api.answer(job, charged(metadata=said))
    assert await told(api, job.run.id) == ([], [("step", "userland.x", {"y": "z"})])


async def test_scores_as_sdks_say_them_and_of_which_variant(api: Api) -> None:
    job = await begun(api)
    run_id = job.run.id
    chose = {"kind": "inngest.experiment", "values": {"name": "tone", "variant": "short"}}
    good = {"kind": "inngest.score", "op": "merge", "values": {"good": {"value": 0.5}}}
    sure = {"kind": "inngest.score", "op": "merge", "values": {"sure": {"value": True}}}
    await say(api, run_id, [sure], run_id=run_id)
    await say(api, run_id, [chose], run_id=run_id)
    await say(api, run_id, [good], run_id=run_id)
    await api.answer(job, charged(metadata=[{**sure, "scope": "step"}]))
    listed = (await api.http.get(f"/v2/runs/{run_id}/scores")).json()["data"]
    told_of = ("name", "value", "stepId", "experiment")
    assert [[one.get(name) for name in told_of] for one in listed] == [
        ["good", 0.5, None, {"id": "tone", "variant": "short"}],
        ["sure", True, None, None],
        ["sure", True, step_hash("charge"), None],
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "missing required field `metadata`"),
        ({"metadata": [{"kind": "inngest.score", "values": {"x": 1}}]}, "score 'x': Expected"),
        (
            {"metadata": [{"kind": "inngest.score", "op": "add", "values": {}}]},
            "op 'add' is none for scores",
        ),
        ({"metadata": [], "target": {"run_id": UNKNOWN}}, "is not the run of the path"),
        ({"metadata": [{"kind": "inngest.ai", "values": {}}]}, "is not yours to set"),
        ({"metadata": [{"kind": "userland." + "x" * 120, "values": {}}]}, "1 to 128 bytes"),
        ({"metadata": [{"kind": "userland.x", "op": "or", "values": {}}]}, "Invalid enum value"),
        ({"metadata": [{"kind": "userland.x", "values": 1}]}, "Expected `object`"),
        (
            {"metadata": [{"kind": "userland.x", "op": "add", "values": {"n": "1"}}]},
            "values.n: only numbers can be added",
        ),
        (
            {"metadata": [{"kind": "userland.x", "values": {"n": "x" * 65_536}}]},
            "at most 65536 are allowed",
        ),
        ({"metadata": [], "target": {"step": "x"}}, "field 'target.step' is not known"),
    ],
)
async def test_what_cannot_be_said_is_refused_whole(api: Api, body: Any, said: str) -> None:
    job = await begun(api)
    fine = {"kind": "userland.fine", "values": {"n": 1}}
    if body.get("metadata"):
        body = {**body, "metadata": [fine, *body["metadata"]]}
    answer = await api.http.post(f"/v1/runs/{job.run.id}/metadata", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert await told(api, job.run.id) == ([], [])


async def test_a_run_holds_so_much_and_no_more(api: Api) -> None:
    job = await begun(api)
    path = f"/v1/runs/{job.run.id}/metadata"
    big = {"n": "x" * 60_000}
    answers = [
        await api.http.post(path, json={"metadata": [{"kind": f"userland.{n}", "values": big}]})
        for n in range(18)
    ]
    assert [answer.status_code for answer in answers] == [200] * 17 + [400]
    assert "metadata and scores of the run would have" in answers[-1].json()["error"]
    assert len((await told(api, job.run.id))[0]) == 17


async def test_scores_of_a_run_that_is_over(api: Api) -> None:
    job = await begun(api)
    await api.answer(job, charged())
    (job,) = await api.jobs()
    await api.answer(job, Returned(b"1"))
    path = f"/v2/runs/{job.run.id}/scores"
    about = {"id": "prompt", "variant": "short"}
    given = [
        {"name": "helpful", "value": 0.5},
        {"name": "helpful", "value": True, "stepId": "charge", "experiment": about},
    ]
    answer = await api.http.post(path, json=given)
    assert answer.status_code == 200, answer.text
    kept = answer.json()["data"]
    assert kept[0] == {"name": "helpful", "value": 0.5, "updatedAt": kept[0]["updatedAt"]}
    assert kept[1]["stepId"] == step_hash("charge")
    assert (kept[1]["value"], kept[1]["experiment"]) == (True, about)
    api.clock.ms += 1
    await api.http.post(path, json=[{"name": "helpful", "value": 7}])
    listed = (await api.http.get(path)).json()["data"]
    assert [(one["value"], one.get("stepId", "")) for one in listed] == [
        (True, step_hash("charge")),
        (7, ""),
    ]
    run, charge = await told(api, job.run.id)
    assert run == [("run", "inngest.score", {"name": "helpful", "value": 7})]
    assert charge[0][2] == {"name": "helpful", "value": True, "experiment": about}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Expected `array`"),
        ([{"name": "", "value": 1}], "length >= 1"),
        ([{"name": "é" * 100, "value": 1}], "[0].name must have 1 to 128 bytes"),
        ([{"name": "x"}], "missing required field `value`"),
        ([{"name": "x", "value": "good"}], "got `str` - at `$[0].value`"),
        ([{"name": "x", "value": 1, "experiment": {"id": "e"}}], "`variant`"),
        ([{"name": "x", "value": 1}] * 101, "at most 100 are allowed"),
    ],
)
async def test_a_score_nobody_can_keep(api: Api, body: Any, said: str) -> None:
    job = await begun(api)
    answer = await api.http.post(f"/v2/runs/{job.run.id}/scores", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["message"]


async def test_of_a_run_that_is_not_there_nothing_is_said(api: Api) -> None:
    scores = f"/v2/runs/{UNKNOWN}/scores"
    assert (await api.http.get(scores)).status_code == 404
    body: Any = [{"name": "x", "value": 1}]
    assert (await api.http.post(scores, json=body)).status_code == 404
    body = {"metadata": [{"kind": "userland.x", "values": {}}]}
    answer = await api.http.post(f"/v1/runs/{UNKNOWN}/metadata", json=body)
    assert answer.status_code == 404


async def test_the_arguments_of_a_step_are_shown_while_it_is_tried_again(api: Api) -> None:
    job = await begun(api)
    failed = {"op": "StepError", "opts": {"input": ["A1", 7]}, "error": {"name": "E"}}
    await api.answer(job, charged(**failed))
    answer = await api.http.get(f"/v2/runs/{job.run.id}/trace?includeOutput=true")
    root = answer.json()["data"]["rootSpan"]
    tried, _again = root["children"]
    assert (tried["name"], tried["status"], tried["input"]) == ("charge", "FAILED", ["A1", 7])
    assert "metadata" not in root
    assert "metadata" not in tried
    timeline = (await api.http.get(f"/v1/runs/{job.run.id}/timeline")).json()["data"]
    assert ["A1", 7] in [one.get("input") for one in timeline["children"]]
    assert (await api.http.get(f"/v2/runs/{job.run.id}/scores")).json()["data"] == []
