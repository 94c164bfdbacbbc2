"""Names that are waited for are counted by path."""

import msgspec

from stepwell.server.engine.row.run import Wait, WaitKind
from stepwell.server.store.sqlite.waited import Waited

WAIT = Wait("R", "s", WaitKind.EVENT, "paid", 0, 0, path="p")


def test_a_name_is_there_until_its_last_wait_ends() -> None:
    waited = Waited()
    plain = msgspec.structs.replace(WAIT, path="", kind=WaitKind.CANCEL)
    for wait in (WAIT, WAIT, plain):
        waited.opened(wait)
    assert set(waited.paths("paid")) == {"p", ""}
    waited.closed(WAIT)
    assert set(waited.paths("paid")) == {"p", ""}
    waited.closed(WAIT)
    assert waited.paths("paid") == ("",)
    waited.closed(plain)
    assert "paid" not in waited
    assert waited.paths("paid") == ()


def test_signals_and_invoked_runs_are_no_events() -> None:
    waited = Waited()
    waited.opened(msgspec.structs.replace(WAIT, kind=WaitKind.SIGNAL))
    waited.opened(msgspec.structs.replace(WAIT, kind=WaitKind.INVOKE))
    assert "paid" not in waited
