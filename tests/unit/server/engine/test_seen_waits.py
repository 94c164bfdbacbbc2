"""A wait that is found by its name, and is no more when its run is seen: another server ended it
between the two looks."""

import pytest

from stepwell.server.engine.row.run import Wait, WaitKind
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import EVERY_NAME
from stepwell.testing.contract.store_world import NOW, run_number

RUN = run_number(1)


def wait_of_kind(kind: WaitKind) -> Wait:
    return Wait(RUN.id, "s", kind, "go", opened_ms=NOW, until_ms=NOW + 9)


def view_of(wait: Wait) -> View:
    view = View(Catalog.of((), ()), EVERY_NAME)
    view.see_signal("go", wait if wait.kind is WaitKind.SIGNAL else None)
    view.see_meeting("E", "", [wait] if wait.kind is not WaitKind.SIGNAL else [])
    return view


def found(view: View) -> list[Wait]:
    signal = view.signal("go")
    return [*view.meeting("E", "go", ""), *([] if signal is None else [signal])]


@pytest.mark.parametrize("kind", [WaitKind.SIGNAL, WaitKind.EVENT, WaitKind.CANCEL])
def test_a_wait_that_its_run_no_longer_has_is_not_found(kind: WaitKind) -> None:
    wait = wait_of_kind(kind)
    view = view_of(wait)
    assert found(view) == [wait]
    view.see_run(RUN.id, RUN)
    assert found(view) == []


@pytest.mark.parametrize("kind", [WaitKind.SIGNAL, WaitKind.EVENT, WaitKind.CANCEL])
def test_a_wait_that_its_run_has_is_found(kind: WaitKind) -> None:
    wait = wait_of_kind(kind)
    view = view_of(wait)
    view.see_run(RUN.id, RUN, waits=[wait])
    assert found(view) == [wait]
