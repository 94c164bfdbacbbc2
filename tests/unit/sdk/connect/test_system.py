"""What a worker tells of its machine, in containers and on strange systems."""

import os
import platform
import socket
from pathlib import Path

import psutil
import pytest

from stepwell.sdk.connect import system
from stepwell.wire.connect_word import SystemAttributes


def test_this_machine(tmp_path: Path) -> None:
    found = system.system_attributes(cgroup=tmp_path)
    assert 1 <= found.cpu_cores <= psutil.cpu_count()
    assert found.mem_bytes == psutil.virtual_memory().total
    assert found.os == platform.system().lower()
    assert system.host_name() == socket.gethostname()


@pytest.mark.parametrize(
    ("text", "cores"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("nonsense", None)],
)
def test_the_second_generation_of_control_groups(
    tmp_path: Path, text: str, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(text)
    assert system.cpu_cores(cgroup=tmp_path) == (cores or 8)


def test_the_first_generation_of_control_groups(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "memory").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    (tmp_path / "memory/memory.limit_in_bytes").write_text("1048576")
    assert system.cpu_cores(cgroup=tmp_path) == 1
    assert system.memory_bytes(cgroup=tmp_path) == 1_048_576


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "0"])
def test_no_limit_of_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.max").write_text(text)
    assert system.memory_bytes(cgroup=tmp_path) == psutil.virtual_memory().total


def test_where_nothing_is_known_nothing_is_raised(
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
