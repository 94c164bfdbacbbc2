"""A limit on a step holds where the step's code is in another process, however it is reached."""

import itertools
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from tests.interop.harness import answers, free_port, process, until
from tests.log_lines import OF_SERVERS
from tests.process_logs import judge

ROOT = Path(__file__).resolve().parents[2]
STEPWELL = [sys.executable, "-m", "stepwell"]
RUNS = 4
PROGRAM = textwrap.dedent(
    """
    import asyncio
    import time
    from pathlib import Path

    import stepwell

    gpu = stepwell.limit("gpu", concurrency=1)
    client = stepwell.Inngest(app_id="studio", is_production=False)


    @client.create_function(fn_id="render", trigger=stepwell.TriggerEvent(event="video/uploaded"))
    async def render(ctx: stepwell.Context) -> str:
        async def draw() -> str:
            began = time.time()
            await asyncio.sleep(0.5)
            with Path("spans").open("a") as spans:
                spans.write(f"{began} {time.time()}\\n")
            return "drawn"

        return await ctx.step.run("draw", draw, limits=[gpu.take(1)])
    """
)


@pytest.mark.parametrize("way", ["http", "connect"])
def test_steps_under_a_limit_take_turns(tmp_path: Path, way: str) -> None:
    (tmp_path / "studio.py").write_text(PROGRAM, encoding="utf-8")
    port, gateway = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"PYTHONPATH": str(ROOT), "STEPWELL_URL": url, "INNGEST_DEV": url}
    target = ["studio"] if way == "http" else []
    dev = [*STEPWELL, "dev", *target, "--no-discovery", "--host", "127.0.0.1"]
    dev += ["--port", str(port), "--connect-gateway-port", str(gateway)]
    with process(dev, env, tmp_path / "dev.log", tmp_path):
        until("the server", lambda: answers(f"{url}/health"))
        if way == "http":
            spans = played(url, tmp_path)
        else:
            worker = [*STEPWELL, "worker", "studio"]
            with process(worker, env, tmp_path / "worker.log", tmp_path):
                spans = played(url, tmp_path)
            judge(tmp_path / "worker.log", ())
    judge(tmp_path / "dev.log", OF_SERVERS)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans)), spans


def played(url: str, folder: Path) -> list[tuple[float, float]]:
    """When the step of each run ran, in order, once all have ended."""
    until("the function", lambda: httpx.get(f"{url}/v2/apps/studio/functions").is_success or None)
    for number in range(RUNS):
        httpx.post(f"{url}/e/key", json={"name": "video/uploaded", "data": {"n": number}})

    def ended() -> bool | None:
        found = httpx.get(f"{url}/v2/runs?status=COMPLETED").json()["data"]
        return len(found) == RUNS or None

    until("the runs to end", ended)
    lines = (folder / "spans").read_text(encoding="utf-8").splitlines()
    assert len(lines) == RUNS
    return sorted((float(a), float(b)) for a, b in (line.split() for line in lines))
