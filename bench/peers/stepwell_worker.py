"""The worker of the connection peers; `BENCH_SDK` says which SDK it uses."""

import asyncio
import importlib
import os
import sys

from bench.collector import look_seldom
from bench.marks import FileMarks
from bench.peers.stepwell_functions import declare


def main() -> None:
    """Serve the benchmark functions until stopped."""
    name = "inngest" if os.environ["BENCH_SDK"] == "official" else "stepwell"
    sdk = importlib.import_module(name)
    client = sdk.Inngest(app_id="bench")
    functions = declare(sdk, client, FileMarks(os.environ["BENCH_MARKS"]))
    worker = importlib.import_module(f"{name}.connect").connect([(client, functions)])
    look_seldom()
    asyncio.run(worker.start())


if __name__ == "__main__":
    if sys.platform != "win32":
        import uvloop

        uvloop.install()
    main()
