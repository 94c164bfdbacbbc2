"""In which order an app had its registrations."""

import pytest

from stepwell.server.engine.message.input import AppRegistered, AppRemoved, Done, Verdict
from stepwell.server.engine.row.run import AppRow
from stepwell.server.engine.state.former import (
    FORMER_MAX,
    age,
    former_after,
    is_former,
    newest,
    with_kept,
)
from tests.bench import APP, Bench, app_row, function


def app(checksum: str, *former: str) -> AppRow:
    return AppRow("app", "", "connect", "", "", "", checksum, 0, former=former)


@pytest.mark.parametrize(
    ("before", "checksum", "former"),
    [
        (None, "1", ()),
        (app("1"), "1", ()),
        (app("1"), "2", ("1",)),
        (app("2", "1"), "3", ("1", "2")),
        (app("2", "1"), "1", ("2",)),
        (app("2,app-old", "1"), "2", ("1",)),
        (app("2", "1"), "2,app-old", ("1",)),
        # Half a registration: what was before is not forgotten, and nothing is added.
        (app("2", "1"), "", ("1", "2")),
        (app("", "1", "2"), "3", ("1", "2")),
        (app("", "1", "2"), "2", ("1",)),
    ],
)
def test_what_an_app_had_before(
    before: AppRow | None, checksum: str, former: tuple[str, ...]
) -> None:
    assert former_after(before, checksum) == former


def test_only_the_last_are_remembered() -> None:
    row = app("0")
    for number in range(1, FORMER_MAX + 5):
        row = app(str(number), *former_after(row, str(number)))
    assert len(row.former) == FORMER_MAX
    assert row.former[-1] == str(FORMER_MAX + 3)
    assert not is_former(row, "0")
    assert not is_former(row, row.checksum)


def test_later_ones_are_newer() -> None:
    row = app(with_kept("3", ["app-old"]), "1", "2")
    assert [age(row, checksum) for checksum in ("3", "3,app-else", "2", "1", "0")] == [
        3,
        3,
        2,
        1,
        0,
    ]
    assert age(None, "1") == 0
    assert newest(row, ["1", "2", "0", "3"]) == "2"
    assert newest(row, ["3", "0"]) is None


def test_a_former_one_that_keeps_order_changes_nothing() -> None:
    bench = Bench()

    def register(checksum: str, event: str, *, keeps_order: bool) -> Verdict:
        rows = (function("a", event=event),)
        given = AppRegistered(app_row(APP, checksum), rows, keeps_order=keeps_order)
        answer = bench.submit(given)
        assert isinstance(answer, Done)
        return answer.verdict

    assert register("1", "one", keeps_order=True) is Verdict.APPLIED
    assert register("2", "two", keeps_order=True) is Verdict.APPLIED
    assert register("1", "one", keeps_order=True) is Verdict.FENCED
    assert bench.catalog.apps[APP].checksum == "2"
    assert bench.catalog.listeners("one") == ()
    assert register("2", "two", keeps_order=True) is Verdict.ALREADY
    bench.restart()
    assert register("1", "one", keeps_order=True) is Verdict.FENCED
    assert register("1", "one", keeps_order=False) is Verdict.APPLIED
    assert bench.catalog.apps[APP].former == ("2",)
    assert register("2", "two", keeps_order=True) is Verdict.FENCED
    # Of an app that is removed nothing is remembered.
    bench.submit(AppRemoved(APP))
    assert register("2", "two", keeps_order=True) is Verdict.APPLIED
