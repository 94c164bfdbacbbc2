"""Rows that are otherwise here than in `store/row.py`: a run without its main item, an item with
its turn, a lease. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec

from stepwell.server.engine.name.lane import is_lane
from stepwell.server.engine.name.lease_id import place_in_order
from stepwell.server.engine.row.run import Item, ItemKind, Lease, Run
from stepwell.server.store.row import Values, item_values, run_of, run_values

_SEPARATOR = "\x1e"
_MAIN_COLUMNS = (None, None, None)


def columns_of_run(run: Run) -> Values:
    """Columns of `run`."""
    *columns, _, _, _, code = run_values(0, run, None)[1:]
    return *columns, code


def run_from(row: Sequence[Any]) -> Run:
    """From the columns of `run`."""
    *columns, code = row
    return run_of((0, *columns, *_MAIN_COLUMNS, code))[0]


def columns_of_item(item: Item) -> Values:
    """Columns of `item`."""
    in_lane = is_lane(item.queue) and item.kind is ItemKind.CALL
    return *item_values(item), place_in_order(item) if in_lane else 0


def columns_of_lease(lease: Lease, node: str) -> Values:
    """Columns of `lease`; its keys and loads as one text each."""
    return (
        *(lease.run_id, lease.key, lease.id, lease.granted_ms, lease.until_ms),
        *(lease.generation, lease.steps),
        *(_SEPARATOR.join(lease.keys), ",".join(map(str, lease.loads)), node),
    )


def lease_from(row: Sequence[Any]) -> Lease:
    """From the columns of `lease`."""
    run_id, key, id_, granted_ms, until_ms, generation, steps, keys, loads, _ = row
    times = (granted_ms, until_ms, generation, steps)
    return Lease(id_, run_id, key, *times, tuple(keys), tuple(loads))


def without_secret(item: Item) -> Item:
    """An item as its row has it."""
    return msgspec.structs.replace(item, secret=b"") if item.secret else item
