"""A PostgreSQL of a peer's own: the only place of the benchmarks that starts one."""

import os
import pwd
import shutil
import subprocess
import threading
from pathlib import Path

from bench.processes import Server, free_port


def start_postgres(folder: Path) -> tuple[Server, str]:
    """A PostgreSQL of its own, as an unprivileged user, with default settings."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        raise RuntimeError("PostgreSQL is not installed; scripts/bench installs it")
    data, port = folder / "pg", free_port()
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    prefix = ["runuser", "-u", user, "--"] if os.geteuid() == 0 else []
    data.mkdir()
    folder.chmod(0o755)
    if prefix:
        shutil.chown(data, user)
    initialise = [str(binaries[-1] / "initdb"), "-D", str(data), "-A", "trust", "-U", "bench"]
    subprocess.run([*prefix, *initialise], check=True, capture_output=True)
    run = [str(binaries[-1] / "postgres"), "-D", str(data), "-p", str(port), "-k", str(data)]
    server = Server([*prefix, *run, "-h", "127.0.0.1"], folder / "postgres.log")
    ready = [str(binaries[-1] / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-t", "20"]
    for _ in range(100):
        if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
            break
        threading.Event().wait(0.1)
    return server, f"postgresql://bench@127.0.0.1:{port}/postgres"
