"""So many entries of the audit are kept, and no more, by every store."""

from pathlib import Path

import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.row.key import AuditEntry
from stepwell.server.engine.state.view import View
from stepwell.server.store import disk
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import Store
from stepwell.server.store.sqlite import writing
from stepwell.server.store.sqlite.store import SqliteStore


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_newest_are_kept(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "AUDIT_MAX", 3)
    monkeypatch.setattr(writing, "AUDIT_MAX", 3)
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "stepwell.db")
    store.migrate()
    reader = store.reader()
    for first in (0, 2, 3):
        view = View(store.catalog(), store.waited)
        for n in range(first, first + 2):
            entry = AuditEntry(f"A{n}{first}", n, "ann", "K1", "cancel_run", "R1", "{}")
            view.apply(fact.ChangeWritten(entry))
        store.write(view.changes)
        store.commit()
        store.keep(view.changes)
    assert [entry.id for entry in reader.audit("", 9)] == ["A43", "A33", "A32"]
    reader.close()
    store.close()
