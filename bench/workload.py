"""The workloads W1 to W9. Each returns named figures; rates are per second, times in milliseconds.

Load is what a single machine's driver can make: the driver shares the cores with what it measures.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import psutil

from bench.peer import Peer

LIMIT_S = 120.0
Figures = dict[str, float]


async def w1(peer: Peer, *, scale: float) -> Figures:
    """Items accepted per second: one at a time, 16 at a time, and in batches of 100."""
    figures: Figures = {}
    for name, count, in_flight, batch in (
        ("c1", 1_500, 1, 1),
        ("c16", 4_000, 16, 1),
        ("batch100", 30_000, 1, 100),
    ):
        items = max(int(count * scale), batch)
        began = time.perf_counter()
        await peer.ingest(items, in_flight, batch)
        figures[f"{name}/s"] = items / (time.perf_counter() - began)
    return figures


async def w2(peer: Peer, *, scale: float) -> Figures:
    """One-step runs started at once; completed runs per second."""
    return await _burst(peer, "one", int(2_000 * scale), steps=1)


async def w3(peer: Peer, *, scale: float) -> Figures:
    """Runs of five steps started at once; completed steps per second."""
    return await _burst(peer, "five", int(500 * scale), steps=5)


async def _burst(peer: Peer, kind: str, count: int, *, steps: int) -> Figures:
    peer.marks.clear()
    keys = [f"{kind}-{time.time_ns()}-{index}" for index in range(max(count, 10))]
    cpu, work, disk = _cpu_by_part(peer), peer.work(), _to_disk_kib(peer)
    began = time.time()
    await peer.run(kind, keys)
    await peer.marks.all_last(keys, LIMIT_S)
    took = max(peer.marks.last.values()) - began
    done = len(keys) * steps
    figures = {
        ("runs/s" if steps == 1 else "steps/s"): done / took,
        "repeated": float(peer.marks.repeated),
    }
    spent = {part: after - cpu[part] for part, after in _cpu_by_part(peer).items()}
    figures["cpu ms/step"] = sum(spent.values()) * 1_000 / done
    for part, seconds in spent.items():
        figures[f"cpu ms/step {part}"] = seconds * 1_000 / done
    if disk is not None:
        figures["KiB to disk/step"] = ((_to_disk_kib(peer) or 0.0) - disk) / done
    for name, value in peer.work().items():
        figures[f"{name}/step"] = (value - work.get(name, 0.0)) / done
    return figures


async def w4(peer: Peer, *, scale: float) -> Figures:
    """Unloaded: from sending to the first line of the function, and to its last."""
    peer.marks.clear()
    first, last = [], []
    for index in range(max(int(100 * scale), 20)):
        await asyncio.sleep(random.uniform(0.005, 0.03))
        key = f"one-{time.time_ns()}-{index}"
        began = time.time()
        await peer.run("one", [key])
        await peer.marks.all_last([key], LIMIT_S)
        first.append(peer.marks.first[key] - began)
        last.append(peer.marks.last[key] - began)
        peer.marks.clear()
    return {
        "first p50 ms": _percentile(first, 50),
        "first p99 ms": _percentile(first, 99),
        "last p50 ms": _percentile(last, 50),
    }


async def w5(peer: Peer, *, scale: float) -> Figures:
    """One run of 100 steps in a row: time between steps."""
    return {"ms/step": await _span(peer, "chain", scale) / 100}


async def w6(peer: Peer, *, scale: float) -> Figures:
    """One run of 100 parallel steps: first line to last."""
    return {"ms": await _span(peer, "fan", scale)}


async def _span(peer: Peer, kind: str, scale: float) -> float:
    spans = []
    for index in range(3 if scale >= 1 else 1):
        peer.marks.clear()
        key = f"{kind}-{time.time_ns()}-{index}"
        await peer.run(kind, [key])
        await peer.marks.all_last([key], LIMIT_S)
        spans.append((peer.marks.last[key] - peer.marks.first[key]) * 1_000)
    return sorted(spans)[len(spans) // 2]


async def w7(peer: Peer, *, scale: float) -> Figures:
    """Waiting runs, each resumed by a signal of its own: first send to last run resumed."""
    peer.marks.clear()
    keys = [f"wait-{time.time_ns()}-{index}" for index in range(max(int(200 * scale), 10))]
    await peer.run("wait", keys)
    await peer.marks.all_first(keys, LIMIT_S)
    await asyncio.sleep(1.0)
    began = time.time()
    await asyncio.gather(*(peer.resume(key) for key in keys))
    await peer.marks.all_last(keys, LIMIT_S)
    return {"ms": (max(peer.marks.last.values()) - began) * 1_000}


async def w8(peer: Peer, *, scale: float) -> Figures:
    """Memory after a burst, and CPU at rest."""
    await w2(peer, scale=scale)
    await asyncio.sleep(2.0)
    cpu, began = _cpu_s(peer), time.perf_counter()
    await asyncio.sleep(max(5.0 * scale, 1.0))
    idle = (_cpu_s(peer) - cpu) / (time.perf_counter() - began)
    return {"memory MiB": _memory_mib(peer), "idle CPU %": idle * 100}


async def w9(peer: Peer, *, scale: float) -> Figures:
    """W2 before and after 20,000 sleeping runs are stored."""
    count = max(int(20_000 * scale), 200)
    before = [(await w2(peer, scale=scale))["runs/s"] for _ in range(3)]
    memory = _memory_mib(peer)
    keys = [f"sleep-{time.time_ns()}-{index}" for index in range(count)]
    for start in range(0, count, 1_000):
        peer.marks.clear()
        some = keys[start : start + 1_000]
        await peer.run("sleep", some)
        await peer.marks.all_first(some, LIMIT_S)
    await asyncio.sleep(2.0)
    grown = _memory_mib(peer) - memory
    after = [(await w2(peer, scale=scale))["runs/s"] for _ in range(3)]
    return {
        "after/before": sorted(after)[1] / sorted(before)[1],
        "KiB/sleeper": grown * 1024 / count,
    }


WORKLOADS: dict[str, Callable[..., Awaitable[Figures]]] = {
    "W1": w1,
    "W2": w2,
    "W3": w3,
    "W4": w4,
    "W5": w5,
    "W6": w6,
    "W7": w7,
    "W8": w8,
    "W9": w9,
}


def _percentile(seconds: Sequence[float], percent: int) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1_000


def _parts(peer: Peer) -> dict[str, list[psutil.Process]]:
    """The processes of each part with their children; this one is the `driver`."""
    parts = {name: _tree(pid) for name, pid in peer.pids().items()}
    elsewhere = {process.pid for some in parts.values() for process in some}
    parts["driver"] = [one for one in _tree(os.getpid()) if one.pid not in elsewhere]
    return parts


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu_by_part(peer: Peer) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for name, processes in _parts(peer).items():
        times = [process.cpu_times() for process in processes]
        seconds[name] = sum(one.user + one.system for one in times)
    return seconds


def _to_disk_kib(peer: Peer) -> float | None:
    """What all parts have had written to the disk so far, where the system tells."""
    processes = [process for some in _parts(peer).values() for process in some]
    if not all(hasattr(process, "io_counters") for process in processes):
        return None
    return sum(process.io_counters().write_bytes for process in processes) / 1024


def _cpu_s(peer: Peer) -> float:
    return sum(_cpu_by_part(peer).values())


def _memory_mib(peer: Peer) -> float:
    processes = [process for some in _parts(peer).values() for process in some]
    return sum(process.memory_full_info().pss for process in processes) / 2**20
