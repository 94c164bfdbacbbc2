"""What a worker tells of its machine: cores, memory, system. Never raises; unknown stays unknown.

Inside a container its limits count, not the machine's: a scheduler wants to know what this process
may use. Linux, macOS and Windows are known fully without a third-party package; elsewhere cores
come from the interpreter and the rest is zero.
"""

import ctypes
import os
import platform
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from stepwell.wire.connect_word import SystemAttributes

T = TypeVar("T")
_CGROUP = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_UNLIMITED_BYTES = 1 << 60


def system_attributes(*, cgroup: Path = _CGROUP, own: Path = _OWN_GROUPS) -> SystemAttributes:
    """The machine as far as this process may use it."""
    return SystemAttributes(
        cpu_cores=cpu_cores(cgroup=cgroup, own=own),
        mem_bytes=memory_bytes(cgroup=cgroup, own=own),
        os=_guarded(platform.system, "").lower() or "unknown",
    )


def host_name() -> str:
    """The machine's name; `unknown` where there is none, as in a browser."""
    return _guarded(socket.gethostname, "") or "unknown"


def cpu_cores(*, cgroup: Path = _CGROUP, own: Path = _OWN_GROUPS) -> int:
    """Cores this process may run on, at least 1; 0 if nothing is known."""
    cores = _guarded(lambda: os.cpu_count() or 0, 0)
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    if affinity is not None:
        allowed = affinity
        cores = _guarded(lambda: len(allowed(0)), cores)
    quotas = [quota for group in _groups(cgroup, own) if (quota := _cpu_quota(group))]
    return max(1, min(cores, *quotas)) if quotas and cores else cores


def _groups(cgroup: Path, own: Path) -> tuple[Path, ...]:
    """The control groups this process is in, its own and all around it; each may have limits."""
    with suppress(OSError):
        for line in own.read_text().splitlines():
            number, _, path = line.partition("::")
            parts = path.strip("/").split("/")
            if number == "0" and path.strip("/") and ".." not in parts:
                inner = [cgroup.joinpath(*parts[: n + 1]) for n in range(len(parts))]
                return (cgroup, *inner)
    return (cgroup,)


def _cpu_quota(cgroup: Path) -> int | None:
    """Whole cores a container may use, rounded up; both generations of control groups."""
    with suppress(OSError, ValueError):
        quota, _, period = (cgroup / "cpu.max").read_text().partition(" ")
        if quota != "max":
            return -(-int(quota) // int(period))
        return None
    with suppress(OSError, ValueError):
        limit = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        if limit > 0:
            return -(-limit // int((cgroup / "cpu/cpu.cfs_period_us").read_text()))
    return None


def memory_bytes(*, cgroup: Path = _CGROUP, own: Path = _OWN_GROUPS) -> int:
    """Bytes of memory this process may use; 0 if unknown."""
    machine = _guarded(_machine_memory, 0)
    limits = [limit for group in _groups(cgroup, own) if (limit := _memory_limit(group))]
    if not limits:
        return machine
    return min(machine, *limits) if machine else min(limits)


def _memory_limit(cgroup: Path) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limit = int((cgroup / name).read_text())
            return limit if 0 < limit < _UNLIMITED_BYTES else None
    return None


def _machine_memory() -> int:
    if platform.system() == "Windows":
        return _windows_memory()
    sysconf: Callable[[str], int] | None = getattr(os, "sysconf", None)
    return 0 if sysconf is None else sysconf("SC_PAGE_SIZE") * sysconf("SC_PHYS_PAGES")


class _MemoryStatus(ctypes.Structure):
    """What Windows fills in when asked for its memory."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        ("physical", ctypes.c_ulonglong),
        ("rest", ctypes.c_ulonglong * 6),
    )


def _windows_memory() -> int:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(status)
    windows = ctypes.CDLL("kernel32", use_errno=True)
    windows.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.physical)


def _guarded(ask: Callable[[], T], otherwise: T) -> T:
    try:
        return ask()
    except Exception:  # noqa: BLE001 - not knowing must never keep a worker from starting
        return otherwise
