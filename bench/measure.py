"""Measures one peer in this process: `python -m bench.measure PEER W2,W3 SCALE` prints one JSON
line per workload."""

import asyncio
import importlib
import json
import sys

from bench.collector import look_seldom
from bench.peer import NotSupported, Peer
from bench.peers import PEERS
from bench.workload import WORKLOADS


async def measure(name: str, workloads: list[str], scale: float) -> None:
    """Each workload on a fresh start of the peer."""
    module, argument = PEERS[name]
    peer: Peer = importlib.import_module(module).make(argument)
    look_seldom()
    try:
        await peer.start()
        for workload in workloads:
            try:
                figures = await WORKLOADS[workload](peer, scale=scale)
                line = {"peer": name, "workload": workload, "figures": figures}
            except NotSupported:
                line = {"peer": name, "workload": workload, "figures": {}}
            except TimeoutError as error:
                line = {"peer": name, "workload": workload, "figures": {}, "error": str(error)}
            line["durability"] = peer.durability
            print(json.dumps(line), flush=True)
    finally:
        await peer.stop()


if __name__ == "__main__":
    if sys.platform != "win32":
        import uvloop

        uvloop.install()
    asyncio.run(measure(sys.argv[1], sys.argv[2].split(","), float(sys.argv[3])))
