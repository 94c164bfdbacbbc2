"""What a real server tells of itself, and that a loop which stands still shows."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tools.attack.target import SIGNING_KEY, Target, target

pytestmark = pytest.mark.asyncio(loop_scope="package")

ASK = "GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{more}\r\n"


async def metrics(made: Target, more: str = "") -> tuple[bytes, dict[str, float]]:
    """The status line, and every sample without labels."""
    reader, writer = await made.connect()
    writer.write(ASK.format(more=more).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.transport.abort()
    families = text_string_to_metric_families(body.decode() if b" 200 " in head else "")
    samples = [sample for family in families for sample in family.samples if not sample.labels]
    return head.partition(b"\r\n")[0], {sample.name: sample.value for sample in samples}


async def test_a_server_tells_of_itself(dev: Target) -> None:
    _, before = await metrics(dev)
    body = b'{"name": "metrics/asked", "data": {}}'
    head = f"POST /e/k HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    assert b" 200 " in await dev.ask(head + body)
    _, after = await metrics(dev)
    assert after["stepwell_events_total"] == before["stepwell_events_total"] + 1
    assert after["stepwell_commits_total"] > before["stepwell_commits_total"]
    assert after["stepwell_database_bytes"] > 0
    assert after["stepwell_connections"] >= 1
    assert after["stepwell_loop_lag_seconds_count"] > 0


async def test_nobody_reads_them_without_the_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with target(tmp_path_factory.mktemp("keys"), keys=True) as made:
        status, _ = await metrics(made)
        assert b"401" in status
        bearer = f"authorization: Bearer {SIGNING_KEY}\r\n"
        status, told = await metrics(made, bearer)
        assert b"200" in status and told["stepwell_loop_stall_seconds"] >= 0
