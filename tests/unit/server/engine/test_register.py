"""An app says which functions it has (http.md 4.2)."""

from stepwell.server.engine.message.input import AppFailed, AppRemoved, Done, Verdict
from stepwell.server.engine.row.run import RunStatus
from stepwell.wire.function_config import Trigger
from tests.bench import APP, Bench, function, names, returned


def slugs(bench: Bench) -> dict[str, int]:
    return {row.slug: row.version for row in bench.reader.functions()}


def test_functions_come_change_and_go() -> None:
    bench = Bench()
    assert bench.register(function("a", event="go"), function("b")).verdict is Verdict.APPLIED
    assert slugs(bench) == {"shop-a": 1, "shop-b": 1}
    assert bench.register(function("a"), function("c"), checksum="2").verdict is Verdict.APPLIED
    assert slugs(bench) == {"shop-a": 2, "shop-c": 1}
    bench.send("go")
    assert bench.runs() == []


def test_only_functions_that_changed_get_another_version() -> None:
    bench = Bench()
    bench.register(function("a", event="go"), function("b", cron="0 * * * *"))
    planned = list(bench.store.disk.items)
    bench.pass_time(1_000)
    bench.register(function("a", event="come"), function("b", cron="0 * * * *"), checksum="2")
    assert slugs(bench) == {"shop-a": 2, "shop-b": 1}
    assert list(bench.store.disk.items) == planned


def test_a_changed_jitter_counts_for_the_occurrence_that_is_planned() -> None:
    """server.md 2.7: jitter is that of the moment a schedule fires."""
    every_hour = "0 * * * *"
    jittered = function("a", triggers=(Trigger(cron=every_hour, jitter="5m"),))
    bench = Bench()
    bench.register(function("a", cron=every_hour))
    (plain,) = bench.store.disk.items
    bench.register(jittered, checksum="2")
    (later,) = bench.store.disk.items
    assert 1_000 <= later.due_ms - plain.due_ms < 300_000
    # The hour has struck, and the jitter goes: what was still to come fires at once.
    bench.now_ms = plain.due_ms + 500
    bench.register(function("a", cron=every_hour), checksum="3")
    bench.claim()
    (run,) = bench.runs()
    assert run.cron == every_hour


def test_the_same_again_is_nothing_new_but_seen() -> None:
    bench = Bench()
    bench.register(function("a", event="go"))
    bench.pass_time(1_000)
    assert bench.register(function("a", event="go")).verdict is Verdict.ALREADY
    assert names(bench.records) == ["AppStored"]
    assert slugs(bench) == {"shop-a": 1}


def test_the_catalog_a_restart_finds_is_the_one_there_was() -> None:
    bench = Bench()
    bench.register(function("a", event="go"), function("b", cron="0 * * * *"))
    before = bench.catalog
    bench.restart()
    assert bench.catalog.apps == before.apps
    assert {s: (e.version, e.triggers) for s, e in bench.catalog.listings.items()} == {
        s: (e.version, e.triggers) for s, e in before.listings.items()
    }


def test_apps_do_not_touch_one_another() -> None:
    bench = Bench()
    bench.register(function("a", event="go"))
    bench.register(function("a", event="go", app="other"), app="other")
    assert set(slugs(bench)) == {"shop-a", "other-a"}
    bench.send("go")
    assert len(bench.runs()) == 2
    assert len(bench.claim(queue="other")) == 1


def test_an_app_that_failed_keeps_its_functions() -> None:
    bench = Bench()
    bench.register(function("a"))
    url = bench.reader.apps()[0].url
    assert bench.submit(AppFailed("", url, "refused")) == Done(Verdict.APPLIED, APP)
    assert bench.reader.apps()[0].error == "refused"
    assert bench.submit(AppFailed(APP, "", "refused")) == Done(Verdict.APPLIED, APP)
    assert bench.records == []
    assert bench.submit(AppFailed(APP, "", "")) == Done(Verdict.APPLIED, APP)
    assert bench.reader.apps()[0].error == ""
    assert bench.submit(AppFailed("x", "http://x", "no")) == Done(Verdict.GONE, "x")
    assert slugs(bench) == {"shop-a": 1}


def test_an_app_is_removed_with_its_functions_and_its_runs_wait() -> None:
    bench = Bench()
    bench.register(function("a", event="go"), function("b", cron="0 * * * *"))
    bench.send("go")
    assert bench.submit(AppRemoved(APP)) == Done(Verdict.APPLIED, APP)
    assert slugs(bench) == {}
    assert [item.run_id for item in bench.store.disk.items] == [bench.runs()[0].id]
    assert bench.claim() == []
    assert bench.submit(AppRemoved(APP)) == Done(Verdict.GONE, APP, f"App not found: {APP}")
    # Back again, its run goes on, half a minute after somebody last looked.
    bench.register(function("a", event="go"))
    bench.pass_time(30_000)
    assert bench.answer(returned()).status is RunStatus.COMPLETED
