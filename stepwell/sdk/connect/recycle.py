"""When a long-lived worker has done enough and should be followed by a fresh process.

Processes of user code grow: by leaks, by fragments, by caches. After so many requests, or above so
many bytes, the worker closes gracefully; whoever runs it starts another.
"""

import asyncio
import ctypes
import platform
import sys
from collections.abc import Callable
from pathlib import Path

LOOK_EVERY_S = 0.5
_STATM = Path("/proc/self/statm")

if sys.platform != "win32":
    import resource


def resident_bytes() -> int:
    """Memory this process holds now, or at most held where only that is known; 0 if neither is."""
    if platform.system() == "Windows":
        return _windows_resident()
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        pass
    if sys.platform == "win32":
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Counters(ctypes.Structure):
    """What Windows fills in when asked for the memory of a process."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("faults", ctypes.c_ulong),
        ("peak", ctypes.c_size_t),
        ("resident", ctypes.c_size_t),
        ("rest", ctypes.c_size_t * 6),
    )


def _windows_resident() -> int:
    counters = _Counters()
    counters.length = ctypes.sizeof(counters)
    windows = ctypes.CDLL("kernel32", use_errno=True)
    this_process = ctypes.c_void_p(-1)
    asked = windows.K32GetProcessMemoryInfo(this_process, ctypes.byref(counters), counters.length)
    return int(counters.resident) if asked else 0


async def watch(
    *,
    requests_max: int | None,
    bytes_max: int | None,
    finished: Callable[[], int],
    enough: Callable[[str], None],
) -> None:
    """Call `enough`, once and with the reason, when a limit is reached. Ends then."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if requests_max is not None and finished() >= requests_max:
            enough(f"{finished()} requests are done, at most {requests_max} were asked for")
            return
        held = resident_bytes()
        if bytes_max is not None and held > bytes_max:
            enough(f"{held} bytes of memory are held, at most {bytes_max} were asked for")
            return
