"""Workers: a persistent connection out to the server, over which functions are called.

    import stepwell as inngest
    from stepwell.connect import connect

    asyncio.run(connect([(client, [my_function])]).start())

Compared to serving over HTTP no port has to be open, calls are quicker, and nothing limits how long
one may take. It needs a process that lives: on serverless platforms serve over HTTP instead.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence

from stepwell.sdk.extra import Extra

with Extra("connect", "a worker"):
    from stepwell.sdk.connect.errors import RepliesUnsentError, WorkerError, WorkerUnauthorizedError
    from stepwell.sdk.connect.health import WorkerStats
    from stepwell.sdk.connect.option import (
        App,
        ConnectApp,
        ConnectOptions,
        ExecutorKind,
        Seconds,
        plan,
    )
    from stepwell.sdk.connect.phase import ConnectionState
    from stepwell.sdk.connect.worker import WorkerConnection

__all__ = [
    "ConnectApp",
    "ConnectionState",
    "RepliesUnsentError",
    "WorkerConnection",
    "WorkerError",
    "WorkerStats",
    "WorkerUnauthorizedError",
    "connect",
    "run_worker",
]


def connect(
    apps: Iterable[App],
    *,
    instance_id: str | None = None,
    rewrite_gateway_endpoint: Callable[[str], str] | None = None,
    shutdown_signals: Sequence[signal.Signals] | None = None,
    handle_shutdown_signals: Sequence[signal.Signals] | None = None,
    max_worker_concurrency: int | None = None,
    gateway_url: str | None = None,
    signing_key: str | None = None,
    signing_key_fallback: str | None = None,
    on_state_change: Callable[[ConnectionState], object] | None = None,
    outbox_directory: str | os.PathLike[str] | None = None,
    outbox_bytes_max: int | None = None,
    give_up_after: Seconds | None = None,
    shutdown_timeout: Seconds | None = None,
    executor: ExecutorKind | Mapping[str, ExecutorKind] = "thread",
    processes: int | None = None,
    isolate_execution: bool | None = None,
    loop_lag_warning: Seconds = 1.0,
    health_port: int | None = None,
    health_host: str = "127.0.0.1",
    max_requests: int | None = None,
    max_rss_bytes: int | None = None,
) -> WorkerConnection:
    """Make a connection that serves these apps; `await` its `start()`, or use `async with`.

    Args:
        apps: Pairs of a client and its functions, or ConnectApp objects, or just clients, which
            serve what was declared with them so far. They share the connection, so they must agree
            on server, environment and keys.
        instance_id: Names this process for the server, the same after a restart; the host's name
            by default. Two workers of one host should have different ones.
        rewrite_gateway_endpoint: Is given the address the server names, returns the one to use.
        shutdown_signals: Signals that close the worker gracefully, by default SIGINT and SIGTERM;
            an empty list watches none. They are watched only if started in the main thread.
        handle_shutdown_signals: Another name for `shutdown_signals`.
        max_worker_concurrency: How many requests run at once at most. Otherwise the variable
            INNGEST_CONNECT_MAX_WORKER_CONCURRENCY counts, and without it there is no limit.
        gateway_url: Address of the gateway in place of the one the server names, such as
            ws://gateway:8289; the variable INNGEST_CONNECT_GATEWAY_URL does the same.
        signing_key: In place of the clients' key.
        signing_key_fallback: In place of the clients' fallback key.
        on_state_change: Called on the loop of `start` with each new state.
        outbox_directory: Keeps unacknowledged answers here, so that they outlive the process. One
            directory per worker.
        outbox_bytes_max: From this many bytes of unacknowledged answers on no new work is taken;
            256 MiB by default.
        give_up_after: Without a connection for so long (seconds or timedelta) `start` raises
            WorkerError; by default the worker tries for ever.
        shutdown_timeout: How long closing waits for running functions; by default until they end.
        executor: "process" runs functions in processes of their own, for work that keeps the
            processor busy; a mapping by function id does so for some.
        processes: How many, by default as many as there are cores.
        isolate_execution: False runs the connection on the user's loop, without a thread of its
            own; the variable INNGEST_CONNECT_ISOLATE_EXECUTION does the same.
        loop_lag_warning: A loop blocked for so long (seconds or timedelta) is reported, with the
            function and the line that blocks it.
        health_port: Answer /healthz, /readyz and /metrics here; 0 takes a free port.
        health_host: The address for that.
        max_requests: Close gracefully after so many requests; `recycled` says so afterwards.
        max_rss_bytes: Close gracefully when the process holds more memory than this.

    Raises ConfigurationError naming what cannot work and how to mend it.
    """
    options = ConnectOptions(
        instance_id=instance_id,
        rewrite_gateway_endpoint=rewrite_gateway_endpoint,
        gateway_url=gateway_url,
        shutdown_signals=shutdown_signals,
        handle_shutdown_signals=handle_shutdown_signals,
        max_worker_concurrency=max_worker_concurrency,
        signing_key=signing_key,
        signing_key_fallback=signing_key_fallback,
        on_state_change=on_state_change,
        outbox_directory=outbox_directory,
        outbox_bytes_max=outbox_bytes_max,
        give_up_after=give_up_after,
        shutdown_timeout=shutdown_timeout,
        executor=executor,
        processes=processes,
        isolate_execution=isolate_execution,
        loop_lag_warning=loop_lag_warning,
        health_port=health_port,
        health_host=health_host,
        max_requests=max_requests,
        max_rss_bytes=max_rss_bytes,
    )
    return WorkerConnection(plan(apps, options), options)


def run_worker(connection: WorkerConnection) -> None:
    """Run a worker until it is closed, from code that has no event loop. Raises as `start` does."""
    asyncio.run(connection.start())
