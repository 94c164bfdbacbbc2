"""A leased item, its run and its function, to call."""

from typing import Any

import msgspec

from stepwell.server.engine.message.input import Done, Job, Verdict
from stepwell.server.engine.row.run import FunctionRow, Item, ItemKind, Lease, Run
from stepwell.server.engine.state.catalog import Listing, listing_of
from stepwell.server.store.port import CallState
from stepwell.wire.function_config import FunctionConfig, encode_function
from stepwell.wire.operation import Operation

RUN_ID = "01M82GRREPC7MJN0RAXQ7QTVCR"
LEASE_ID = "01M82GRRKWS7R70FKG7B2ZKEY4"
EVENT = b'{"data":{"n":1},"id":"e1","name":"x","ts":1795381027214,"user":{}}'


def job(key: str = "", **changed: Any) -> Job:
    run = Run(RUN_ID, "shop-a", "shop", ("e1",), 1, version=changed.pop("version", -1))
    run = msgspec.structs.replace(run, force_plan=changed.pop("force_plan", False))
    item = Item(RUN_ID, key, ItemKind.CALL, 1, "shop", target=key or "step", **changed)
    return Job(Lease(LEASE_ID, RUN_ID, key, 1, 2), item, run)


def state(**steps: bytes) -> CallState:
    return CallState((EVENT,), tuple(steps.items()))


def listing(
    url: str = "http://localhost:3000/x?fnId=shop-a&stepId=step", retries: int = 4
) -> Listing:
    config = FunctionConfig(id="shop-a", name="a", url=url, retries=retries)
    return listing_of(FunctionRow("shop-a", "shop", "a", encode_function(config), 1, 1))


async def save(operations: tuple[Operation, ...]) -> Done:
    return Done(Verdict.APPLIED)
