"""A run that was exported goes on in a test; code that no longer fits it is told, by the step."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import stepwell as sw
from stepwell.cli.main import main
from stepwell.embedded import Engine
from stepwell.testing import Harness, HarnessError, HarnessSync
from stepwell.testing.replay import misfit, read_recorded
from stepwell.wire.recorded_run import NotRecorded

client = sw.Inngest(app_id="old", is_production=False)
started = sw.TriggerEvent(event="old/started")


async def two_steps(ctx: sw.Context, second: str) -> str:
    first = await ctx.step.run("first", lambda: "a")
    return first + await ctx.step.run(second, lambda: "b")


@client.create_function(fn_id="ended", trigger=started)
async def ended(ctx: sw.Context) -> str:
    return await two_steps(ctx, "second")


async def waiting_for(ctx: sw.Context, name: str) -> str:
    await ctx.step.run("first", lambda: "a")
    await ctx.step.sleep("nap", timedelta(hours=1))
    found = await ctx.step.wait_for_event(name, event="old/answer", timeout=timedelta(days=1))
    return "nothing" if found is None else str(found.data["n"])


@client.create_function(fn_id="waits", trigger=sw.TriggerEvent(event="old/waits"))
async def waits(ctx: sw.Context) -> str:
    return await waiting_for(ctx, "answer")


@client.create_function(fn_id="broken", trigger=sw.TriggerEvent(event="old/broken"), retries=0)
async def broken(ctx: sw.Context) -> str:
    first = await ctx.step.run("first", lambda: "a")
    raise ValueError(f"cannot go on after {first}")


def exported(event: str, folder: Path, *, hours: float = 0) -> Path:
    """The file of the run that an event starts, so long after it."""
    file = folder / "run.json"
    with HarnessSync() as harness:
        harness.serve(client, [ended, waits, broken])
        run = harness.send(sw.Event(name=event, data={"n": 1})).run
        harness.advance(hours=hours)
        run.export(file)
    return file


def new_code(fn_id: str, handler: object) -> tuple[sw.Inngest, sw.Function[object]]:
    """The app after a change."""
    changed = sw.Inngest(app_id="old", is_production=False)
    trigger = sw.TriggerEvent(event="old/changed")
    return changed, changed.create_function(fn_id=fn_id, trigger=trigger)(handler)  # type: ignore[arg-type]


async def told(file: Path, fn_id: str, handler: object) -> str:
    changed, function = new_code(fn_id, handler)
    return await misfit(read_recorded(file), function, changed)


async def test_the_same_code_fits(tmp_path: Path) -> None:
    for event, function in (("started", ended), ("waits", waits), ("broken", broken)):
        file = exported(f"old/{event}", tmp_path, hours=2)
        assert await misfit(read_recorded(file), function, client) == ""


async def test_a_renamed_step_is_named(tmp_path: Path) -> None:
    async def renamed(ctx: sw.Context) -> str:
        return await two_steps(ctx, "zweiter")

    file = exported("old/started", tmp_path)
    assert await told(file, "ended", renamed) == (
        'step "second" (2 of 2) no longer fits: after "first" the code asks for "zweiter"'
    )


async def test_a_step_that_vanished_and_one_that_is_new_are_named(tmp_path: Path) -> None:
    async def shorter(ctx: sw.Context) -> str:
        return await ctx.step.run("first", lambda: "a")

    async def longer(ctx: sw.Context) -> str:
        found = await two_steps(ctx, "second")
        return found + await ctx.step.run("third", lambda: "c")

    async def raises(ctx: sw.Context) -> str:
        raise KeyError("x")

    file = exported("old/started", tmp_path)
    assert await told(file, "ended", shorter) == (
        'step "second" (2 of 2) no longer fits: after "first" the code returns'
    )
    assert await told(file, "ended", longer) == (
        'the run had come to its end, and the code asks for "third"'
    )
    assert 'step "first" (1 of 2) no longer fits: at its beginning the code raises' in await told(
        file, "ended", raises
    )


async def test_a_wait_that_is_gone_is_named(tmp_path: Path) -> None:
    async def renamed(ctx: sw.Context) -> str:
        return await waiting_for(ctx, "reply")

    file = exported("old/waits", tmp_path, hours=2)
    assert await told(file, "waits", renamed) == (
        'the run waits for "answer", and the code asks for "reply"'
    )
    sleeping = exported("old/waits", tmp_path)
    assert await told(sleeping, "waits", renamed) == ""


async def test_plain_handlers_are_checked_as_well(tmp_path: Path) -> None:
    def plain(ctx: sw.ContextSync) -> str:
        return ctx.step.run("first", lambda: "never called") + ctx.step.run("other", lambda: "b")

    file = exported("old/started", tmp_path)
    assert 'after "first" the code asks for "other"' in await told(file, "ended", plain)


async def test_an_incident_becomes_a_test(stepwell: Harness, tmp_path: Path) -> None:
    done: list[str] = []

    async def mended(ctx: sw.Context) -> str:
        first = await ctx.step.run("first", lambda: done.append("first"))
        return f"{first}!" + await ctx.step.run("second", lambda: "b")

    file = exported("old/broken", tmp_path)
    stepwell.serve(*_listed(new_code("broken", mended)))
    run = await stepwell.replay(file)
    assert run.result == "a!b"
    assert done == []
    assert stepwell.runs() == [run]
    anew = await stepwell.replay(file, before="first")
    assert done == ["first"]
    assert anew.result == "None!b"


def _listed(app: tuple[sw.Inngest, sw.Function[object]]) -> tuple[sw.Inngest, list[object]]:
    return app[0], [app[1]]


async def test_a_run_that_waits_goes_on(stepwell: Harness, tmp_path: Path) -> None:
    file = exported("old/waits", tmp_path, hours=2)
    run = await stepwell.replay(file)
    assert "waits for an event old/answer" in run.waits_for
    await stepwell.send(sw.Event(name="old/answer", data={"n": 7}))
    assert run.result == "7"


async def test_what_cannot_be_replayed_is_refused(stepwell: Harness, tmp_path: Path) -> None:
    async def renamed(ctx: sw.Context) -> str:
        return await two_steps(ctx, "zweiter")

    file = exported("old/started", tmp_path)
    stepwell.serve(*_listed(new_code("ended", renamed)))
    with pytest.raises(HarnessError, match=r'run\.json: step "second" \(2 of 2\) no longer fits'):
        await stepwell.replay(file)
    with pytest.raises(HarnessError, match='has no step "third" \\(it has "first", "second"\\)'):
        await stepwell.replay(file, before="third")
    assert (await stepwell.replay(file, before="second")).result == "ab"
    with pytest.raises(HarnessError, match="No such file"):
        await stepwell.replay(tmp_path / "none.json")
    other = exported("old/waits", tmp_path)
    with pytest.raises(HarnessError, match='function "old-waits" is not served here'):
        await stepwell.replay(other)


async def test_a_step_that_ended_otherwise(stepwell: Harness, tmp_path: Path) -> None:
    file = exported("old/started", tmp_path)
    # What comes after the last that is changed is done anew.
    run = await stepwell.replay(file, results={"first": "A"})
    assert run.result == "Ab"
    run = await stepwell.replay(file, results={"second": "B", "first": "A"})
    assert run.result == "AB"
    run = await stepwell.replay(file, results={"first": "A"}, before="second")
    assert run.result == "Ab"
    run = await stepwell.replay(file, results={"first": ValueError("no paper")})
    assert "no paper" in str(run.error)


async def test_a_wait_that_ended_otherwise(stepwell: Harness, tmp_path: Path) -> None:
    file = exported("old/waits", tmp_path, hours=30)
    assert (await stepwell.replay(file)).result == "nothing"
    answer = {"name": "old/answer", "data": {"n": 8}, "ts": 1}
    assert (await stepwell.replay(file, results={"answer": answer})).result == "8"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"results": {"third": 1}}, r'has no step "third" \(it has "first", "nap", "answer"\)'),
        ({"results": {"nap": 1}}, 'step "nap" is a sleep, which has no result'),
        ({"results": {"first": object()}}, 'the result of step "first" is no JSON'),
        (
            {"results": {"first": 1}, "before": "first"},
            'step "first" is done anew, because of before="first"',
        ),
    ],
)
async def test_what_cannot_have_ended_otherwise(
    stepwell: Harness, tmp_path: Path, given: dict[str, Any], why: str
) -> None:
    file = exported("old/waits", tmp_path, hours=30)
    with pytest.raises(HarnessError, match=why):
        await stepwell.replay(file, **given)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{", "it is no run that was exported"),
        (b"\xff", "it is no run that was exported"),
        (b"[]", "it is no run that was exported"),
        (b'{"format": "x"}', '"format" is \'x\', not "stepwell-run/1"'),
        (b'{"format": "stepwell-run/1"}', "missing required field `id`"),
    ],
)
def test_a_file_that_holds_no_run_is_refused(tmp_path: Path, text: bytes, why: str) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(text)
    with pytest.raises(NotRecorded) as caught:
        read_recorded(file)
    assert why in str(caught.value)
    assert str(file) in str(caught.value)


PROGRAM = """
import stepwell

client = stepwell.Inngest(app_id="old", is_production=False)

@client.create_function(fn_id="ended", trigger=stepwell.TriggerEvent(event="old/started"))
async def ended(ctx: stepwell.Context) -> str:
    await ctx.step.run("first", print)
    return await ctx.step.run("{second}", print)
"""


async def make_database(path: Path) -> str:
    async with Engine(client, [ended], database=path) as engine:
        (event_id,) = await client.send(sw.Event(name="old/started"))
        await engine.result_of(event_id, timeout_seconds=30)
    return event_id


def test_the_command_line_exports_from_a_file_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    event_id = asyncio.run(make_database(tmp_path / "old.db"))
    tool = CliRunner()
    wrote = tool.invoke(main, ["run", event_id, "--database", "old.db", "--export", "run.json"])
    assert "of old-ended to run.json" in wrote.output, wrote.output
    assert [step["name"] for step in json.loads(Path("run.json").read_text())["steps"]] == [
        "first",
        "second",
    ]
    Path("same_code.py").write_text(PROGRAM.replace("{second}", "second"))
    Path("new_code.py").write_text(PROGRAM.replace("{second}", "zweiter"))
    same = tool.invoke(main, ["check-replay", "run.json", "--app", "same_code:client"])
    assert (same.exit_code, same.output) == (0, "run.json: fits\n")
    new = tool.invoke(main, ["check-replay", "run.json", "--app", "new_code:client"])
    assert new.exit_code == 1
    assert 'run.json: step "second" (2 of 2) no longer fits' in new.output
    none = tool.invoke(main, ["check-replay", "none.json", "--app", "new_code:client"])
    assert "none.json: No such file" in none.output
    nowhere = ["run", event_id, "--database", "old.db", "--export", "no/run.json"]
    assert "--export no/run.json: No such file" in tool.invoke(main, nowhere).output
