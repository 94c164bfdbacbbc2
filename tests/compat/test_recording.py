"""The comparison itself: what it forgives, and what it does not."""

from typing import Any

import pytest

from tests.compat.recording import Bindings, differences, load, names

ONE, TWO, THREE = (f"01M82GRRCE6ETP9DSPAXAZ02C{letter}" for letter in "FGH")
UUID = "5a2222ef-d7f5-5dad-8293-292f7e83e376"


@pytest.mark.parametrize(
    ("recorded", "actual"),
    [
        ({"id": ONE, "again": ONE}, {"id": TWO, "again": TWO}),
        ({"correlation_id": f"{ONE}.abc"}, {"correlation_id": f"{TWO}.abc"}),
        ({"fn_id": UUID}, {"fn_id": UUID.replace("5a", "6b")}),
        ({"at": "2026-11-22T20:55:33.828Z"}, {"at": "2027-01-01T00:00:00Z"}),
        ({"ts": 1795381027214}, {"ts": 1795381027299}),
        ({"job_id": "19qse9m3bb0o2"}, {"job_id": "anything"}),
        ({"tc": {"ctx": 1}}, {}),
        ({"data": {"cut": 5}}, {"data": {"cut": 5}}),
    ],
)
def test_what_varies_is_forgiven(recorded: Any, actual: Any) -> None:
    assert differences(recorded, actual, Bindings()) == []


@pytest.mark.parametrize(
    ("recorded", "actual"),
    [
        ({"id": ONE, "again": ONE}, {"id": TWO, "again": THREE}),
        ({"id": ONE, "other": TWO}, {"id": THREE, "other": THREE}),
        ({"correlation_id": f"{ONE}.abc"}, {"correlation_id": f"{TWO}.abd"}),
        ({"id": ONE}, {"id": "7"}),
        ({"ts": 1795381027214}, {"ts": 5}),
        ({"attempt": 0}, {"attempt": False}),
        ({"attempt": 0}, {"attempt": 1}),
        ({"steps": {}}, {"steps": None}),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"job_id": "x"}, {"job_id": ""}),
    ],
)
def test_what_matters_is_not(recorded: Any, actual: Any) -> None:
    assert differences(recorded, actual, Bindings())


def test_what_the_sdk_said_is_translated_into_the_ids_of_now() -> None:
    bindings = Bindings()
    differences({"run_id": ONE, "job_id": "old"}, {"run_id": TWO, "job_id": "new"}, bindings)
    said = {"run_id": ONE, "path": f"/v1/checkpoint/{ONE}/async", "job": "old", "n": 1}
    assert bindings.translate(said) == {
        "run_id": TWO,
        "path": f"/v1/checkpoint/{TWO}/async",
        "job": "new",
        "n": 1,
    }


def test_every_recording_can_be_read_and_agrees_with_itself() -> None:
    folders = (
        "python-http",
        "js-http",
        "js-http-checkpoint",
        "python-http-signed",
        "js-http-signed",
    )
    every = [load(name) for folder in folders for name in names(folder)]
    assert len(every) == 72
    for recording in every:
        for entry in recording.entries:
            assert differences(entry.body, entry.body, Bindings()) == [], entry


def test_requests_made_during_a_call_are_found() -> None:
    recording = load("js-http-checkpoint/two-steps")
    call = recording.between("server", "sdk")[0]
    assert [e.path.split("/")[-1] for e in recording.during(call)] == ["async", "async"]
    recording = load("python-http/large-state")
    last = recording.between("server", "sdk")[-1]
    assert [e.path.split("/")[-1] for e in recording.during(last)] == ["batch", "actions"]
