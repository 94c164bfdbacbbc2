"""`/metrics`: what is counted, by which names, and that pages and deployment files know them."""

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from stepwell.server.api import metrics as metrics_module
from stepwell.server.api.deps import ProcessSeen
from stepwell.server.engine.message.input import Broke, Progressed, Returned
from stepwell.server.meters import Spread
from stepwell.server.store.port import RunFilter
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import StepRun
from tests.unit.server.api.harness import BEARER, KEYS, Api, function, serving

ROOT = Path(__file__).resolve().parents[4]
NAME = re.compile(r"\b(?:stepwell|process)_[a-z0-9_]+\b")
SUFFIXES = ("_bucket", "_sum", "_count")
FAILURE = Failure(name="ValueError", message="no")
BROKE = Broke(FAILURE, encode_failure(FAILURE), None, False, "")


async def shown(api: Api) -> dict[tuple[str, ...], float]:
    """Every sample: its name, then its labels in the order of their names."""
    answer = await api.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def ran(name: str) -> Progressed:
    return Progressed((StepRun(id=step_hash(name), name=name, data=msgspec.Raw(b"1")),), 2, None)


async def test_what_happened_is_counted_by_function() -> None:
    async with serving() as api:
        await api.register(function("greet", event="go"), function("fail", event="go", retries=0))
        for _ in range(3):
            await api.send("go")
        before = await shown(api)
        assert before["stepwell_runs_started_total", "shop-greet"] == 3
        assert before["stepwell_events_total",] == 3
        assert before["stepwell_runs", "shop-greet", "scheduled"] == 3
        for job in await api.jobs():
            outcome = ran("a") if job.run.function == "shop-greet" else BROKE
            await api.answer(job, outcome)
        for job in await api.jobs():
            await api.answer(job, Returned(b"1"))
        after = await shown(api)
    assert after["stepwell_runs_ended_total", "shop-greet", "completed"] == 3
    assert after["stepwell_runs_ended_total", "shop-fail", "failed"] == 3
    assert after["stepwell_step_seconds_count", "shop-greet"] == 3
    assert after["stepwell_step_seconds_bucket", "shop-greet", "+Inf"] == 3
    assert ("stepwell_runs", "shop-greet", "scheduled") not in after
    assert after["stepwell_commits_total",] == after["stepwell_batch_inputs_count",]
    assert after["stepwell_batch_inputs_sum",] >= after["stepwell_batch_inputs_count",]
    assert after["stepwell_rows_total",] > after["stepwell_commits_total",]


async def test_an_attempt_that_is_made_again_counts_as_a_retry() -> None:
    async with serving() as api:
        await api.register(function("greet", event="go"))
        await api.send("go")
        (job,) = await api.jobs()
        await api.answer(job, BROKE)
        told = await shown(api)
    assert told["stepwell_retries_total", "shop-greet"] == 1
    assert told["stepwell_runs", "shop-greet", "running"] == 1


async def test_what_waits_is_told_with_its_age_and_reason() -> None:
    async with serving() as api:
        await api.register(function("greet", event="go"), function("rest", event="idle"))
        await api.send("go")
        await api.send("go")
        await api.send("idle")
        assert (await api.http.post("/v1/functions/shop-rest/pause", json={})).status_code == 200
        api.clock.ms += 90_000
        told = await shown(api)
        assert told["stepwell_queue_depth", "shop-greet", "none"] == 2
        assert told["stepwell_queue_age_seconds", "shop-greet", "none"] == 90
        assert told["stepwell_queue_depth", "shop-rest", "paused"] == 1
        greeting = api.deps.reader.runs(RunFilter(functions=("shop-greet",)))[0]
        object.__setattr__(api.deps, "under_way", lambda: [greeting])
        told = await shown(api)
    assert told["stepwell_queue_depth", "shop-greet", "none"] == 1


async def test_what_the_process_is_at() -> None:
    lag = Spread((0.1, 1.0))
    lag.add(0.5)
    async with serving() as api:
        seen = ProcessSeen(
            database_bytes=5,
            log_bytes=6,
            connections=7,
            workers=8,
            body_bytes=9,
            bodies_refused=10,
            stall_s=0.25,
            stall_work_s=0.125,
            lag=lag,
        )
        object.__setattr__(api.deps, "process", lambda: seen)
        told = await shown(api)
    assert told["stepwell_database_bytes",] == 5
    assert told["stepwell_log_bytes",] == 6
    assert told["stepwell_bodies_refused_total",] == 10
    assert told["stepwell_loop_stall_seconds",] == 0.25
    assert told["stepwell_loop_work_seconds",] == 0.125
    assert told["stepwell_loop_lag_seconds_bucket", "0.1"] == 0
    assert told["stepwell_loop_lag_seconds_bucket", "1"] == 1
    assert told["stepwell_loop_lag_seconds_sum",] == 0.5


async def test_many_functions_share_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "FUNCTIONS_MAX", 2)
    async with serving() as api:
        await api.register(*(function(f"f{n}", event="go") for n in range(5)))
        await api.send("go")
        for job in await api.jobs():
            await api.answer(job, ran("a"))
        told = await shown(api)
    started = {
        key[1]: count for key, count in told.items() if key[0] == "stepwell_runs_started_total"
    }
    assert started[metrics_module.OTHERS] == 3
    assert len(started) == 3
    assert told["stepwell_step_seconds_count", metrics_module.OTHERS] == 3


async def test_it_needs_the_key_like_all_the_rest() -> None:
    async with serving(KEYS) as api:
        assert (await api.http.get("/metrics")).status_code == 401
        assert (await api.http.get("/metrics", headers=BEARER)).status_code == 200


# -- pages and files that name metrics ------------------------------------------------------------


async def exported() -> set[str]:
    async with serving() as api:
        text = (await api.http.get("/metrics")).text
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))


def told_in(path: str) -> set[str]:
    return set(NAME.findall((ROOT / path).read_text()))


async def test_the_page_lists_all_of_them() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    listed = set(re.findall(r"^\| `((?:stepwell|process)_[a-z0-9_]+)`", page, re.MULTILINE))
    assert {name for name in await exported() if name.startswith("stepwell_")} == {
        name for name in listed if name.startswith("stepwell_")
    }
    assert listed <= await exported()


@pytest.mark.parametrize("path", ["deploy/prometheus-rules.yml", "deploy/grafana-dashboard.json"])
async def test_what_deployment_files_ask_for_is_exported(path: str) -> None:
    known = await exported()
    wanted = told_in(path)
    assert wanted
    for name in wanted:
        bare = next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)
        assert name in known or bare in known, name


def test_the_deployment_files_are_what_their_readers_expect() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus-rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert all({"alert", "expr", "for", "labels", "annotations"} <= rule.keys() for rule in alerts)
    page = (ROOT / "docs/operations.md").read_text()
    assert all(f"`{rule['alert']}`" in page for rule in alerts)
    board = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
    assert board["panels"] and board["uid"] == "stepwell"
    assert all(target["expr"] for panel in board["panels"] for target in panel["targets"])
