"""What a worker tells of its machine, in containers and on strange systems."""

import ctypes
import os
import platform
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from stepwell.sdk.connect import system
from stepwell.wire.connect_word import SystemAttributes


def test_w35_this_machine(tmp_path: Path) -> None:
    found = system.system_attributes(cgroup=tmp_path)
    assert 1 <= found.cpu_cores <= psutil.cpu_count()
    assert found.mem_bytes == psutil.virtual_memory().total
    assert found.os == platform.system().lower()
    assert system.host_name() == socket.gethostname()


def test_w35_macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    sizes = {"SC_PAGE_SIZE": 16_384, "SC_PHYS_PAGES": 1_048_576}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    found = system.system_attributes(cgroup=tmp_path)
    assert found == SystemAttributes(10, 17_179_869_184, "darwin")


def test_w35_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        @staticmethod
        def GlobalMemoryStatusEx(status: Any) -> int:
            asked = status._obj
            assert asked.length == ctypes.sizeof(asked) >= 64
            asked.physical = 8_589_934_592
            return 1

    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: {"kernel32": Kernel}[name])
    found = system.system_attributes(cgroup=tmp_path)
    assert found == SystemAttributes(4, 8_589_934_592, "windows")


def test_w35_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory is told, no name, and a core is a core."""
    monkeypatch.setattr(platform, "system", lambda: "Emscripten")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sysconf", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    assert system.system_attributes(cgroup=tmp_path) == SystemAttributes(1, 0, "emscripten")
    assert system.host_name() == "unknown"


@pytest.mark.parametrize(
    ("text", "cores"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("nonsense", None)],
)
def test_w35_the_second_generation_of_control_groups(
    tmp_path: Path, text: str, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(text)
    assert system.cpu_cores(cgroup=tmp_path) == (cores or 8)


def test_w35_the_first_generation_of_control_groups(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "memory").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    (tmp_path / "memory/memory.limit_in_bytes").write_text("1048576")
    assert system.cpu_cores(cgroup=tmp_path) == 1
    assert system.memory_bytes(cgroup=tmp_path) == 1_048_576


def test_w35_a_service_with_limits_of_its_own_outside_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    inner = tmp_path / "system.slice" / "shop.service"
    inner.mkdir(parents=True)
    (tmp_path / "system.slice" / "cpu.max").write_text("600000 100000")
    (inner / "cpu.max").write_text("300000 100000")
    (tmp_path / "system.slice" / "memory.max").write_text("2097152")
    (inner / "memory.max").write_text("max")
    own = tmp_path / "own"
    own.write_text("0::/system.slice/shop.service\n")
    assert system.cpu_cores(cgroup=tmp_path, own=own) == 3
    assert system.memory_bytes(cgroup=tmp_path, own=own) == 2_097_152
    for odd in ("0::/\n", "0::/../..\n", "1:cpu:/x\n", ""):
        own.write_text(odd)
        assert system.cpu_cores(cgroup=tmp_path, own=own) == 8


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "0"])
def test_no_limit_of_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.max").write_text(text)
    assert system.memory_bytes(cgroup=tmp_path) == psutil.virtual_memory().total


def test_w35_where_nothing_is_known_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise OSError("not here")

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "sysconf", broken)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(platform, "system", broken)
    monkeypatch.setattr(socket, "gethostname", broken)
    assert system.system_attributes(cgroup=tmp_path) == SystemAttributes(0, 0, "unknown")
    assert system.host_name() == "unknown"
