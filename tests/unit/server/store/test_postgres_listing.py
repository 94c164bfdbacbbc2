"""What a page of runs costs on PostgreSQL does not grow with the table: counted in rows that the
database looks at, not in time."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.store.port import RunFilter, RunTime
from stepwell.server.store.postgres.listing import runs_asked
from tests.postgres import emptied

LIMIT = 20
MOST = 600
"""Of 12,000 runs."""
FILL = b"""
INSERT INTO stepwell.run (
    id, function, app, event_id, queued_ms, dedup, status, started_ms, ended_ms,
    version, flags, parts
)
SELECT
    'R' || lpad(n::text, 25, '0'),
    CASE WHEN n % 3000 = 1 THEN 'rare-f' ELSE 'shop-f' || n % 4 END,
    CASE WHEN n % 3000 = 1 THEN 'rare' ELSE 'shop' END,
    'E', n, '', status,
    CASE WHEN status = 100 THEN 0 ELSE n + 1 END,
    CASE WHEN status < 300 THEN 0 ELSE n + 2 END,
    0, 0, 0
FROM (
    SELECT n, CASE n % 7 WHEN 1 THEN 400 WHEN 2 THEN 100 WHEN 3 THEN 500 ELSE 300 END AS status
    FROM generate_series(1, 12000) AS n
) AS runs
"""
LEASES = b"""
INSERT INTO stepwell.lease
SELECT id, '', id, queued_ms + 1, queued_ms + 9, 0, 0, '{}', '{}', 'n' FROM stepwell.run
WHERE status = 100 ORDER BY id LIMIT 30
"""


@pytest.fixture(scope="module")
def filled(migrated_database: str) -> Iterator[psycopg.Connection[Any]]:
    emptied(migrated_database)
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute(FILL)
        connection.execute(LEASES)
        connection.execute("ANALYZE stepwell.run; ANALYZE stepwell.lease")
        yield connection
    emptied(migrated_database)


def looked_at(plan: dict[str, Any]) -> int:
    """How many rows of runs a plan looked at."""
    mine = 0
    if plan.get("Relation Name") == "run":
        passed = plan.get("Rows Removed by Filter", 0) + plan.get(
            "Rows Removed by Index Recheck", 0
        )
        mine = round((plan["Actual Rows"] + passed) * plan["Actual Loops"])
    return mine + sum(looked_at(inner) for inner in plan.get("Plans", ()))


FILTERS = {
    "all": RunFilter(limit=LIMIT),
    "ascending": RunFilter(ascending=True, limit=LIMIT),
    "queued": RunFilter(statuses=(RunStatus.SCHEDULED,), limit=LIMIT),
    "running": RunFilter(statuses=(RunStatus.RUNNING,), limit=LIMIT),
    "failed": RunFilter(statuses=(RunStatus.FAILED,), limit=LIMIT),
    "failed or cancelled": RunFilter(statuses=(RunStatus.FAILED, RunStatus.CANCELLED), limit=LIMIT),
    "of a function": RunFilter(functions=("shop-f1",), limit=LIMIT),
    "of some functions": RunFilter(functions=("shop-f1", "rare-f"), limit=LIMIT),
    "of a rare app": RunFilter(apps=("rare",), limit=LIMIT),
    "last ended": RunFilter(time=RunTime.ENDED, limit=LIMIT),
    "last failed": RunFilter(time=RunTime.ENDED, statuses=(RunStatus.FAILED,), limit=LIMIT),
    "last started": RunFilter(time=RunTime.STARTED, limit=LIMIT),
    "first started": RunFilter(time=RunTime.STARTED, ascending=True, limit=LIMIT),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_page_of_runs_looks_at_few(filled: psycopg.Connection[Any], name: str) -> None:
    statement, asked = runs_asked(FILTERS[name])
    found = filled.execute(statement, asked).fetchall()
    assert len(found) == (4 if name == "of a rare app" else LIMIT)
    told = filled.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement, asked).fetchone()
    assert told is not None
    assert looked_at(told[0][0]["Plan"]) <= MOST
