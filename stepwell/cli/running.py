"""Runs a server until it is told to stop: the loop, the signals and the words at the beginning."""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeAlias

import click
from rich.console import Console
from rich.table import Table

from stepwell.cli.process import look_for_circles_seldom, run_loop, take_all_descriptors
from stepwell.cli.target_error import TargetError
from stepwell.cli.terminal import put
from stepwell.server.config import Command, ServerConfig
from stepwell.server.listening import CannotListen, url_of
from stepwell.server.serving import Server
from stepwell.server.store.port import StoreError

Beside: TypeAlias = Callable[[Server], AbstractAsyncContextManager[Any]]
"""What runs beside a server, from just after it began to answer until just before it stops."""

log = logging.getLogger("stepwell")


def run_server(config: ServerConfig, beside: Beside | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Exits with a sentence where the server cannot run."""
    take_all_descriptors()
    try:
        run_loop(_serve(config, beside))
    except (CannotListen, StoreError, TargetError) as error:
        raise click.ClickException(str(error)) from None


async def _serve(config: ServerConfig, beside: Beside | None) -> None:
    server = Server(config, brings_apps=beside is not None)
    look_for_circles_seldom()  # while nobody waits; what the start makes is little
    stopping = asyncio.Event()
    _on_signals(stopping.set)
    async with server:
        look_for_circles_seldom()
        for notice in config.notices:
            log.warning("%s", notice)
        log.info("listening at %s", server.url)
        async with nullcontext() if beside is None else beside(server):
            await stopping.wait()
            log.info("stopping; a second signal does not wait for calls under way")
            _on_signals(_leave)
    log.info("stopped")


def _on_signals(act: Callable[[], Any]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, act)
        except NotImplementedError:
            signal.signal(number, lambda _number, _frame: act())


def _leave() -> None:
    raise SystemExit(1)


def show_settings(to: Console, config: ServerConfig, *, everything: bool) -> None:
    """The mode and the URL, then the settings, where each came from, and keys as fingerprints."""
    table = Table(box=None, padding=(0, 2), show_header=False)
    table.add_row("mode", _MODES[config.command], "")
    url = url_of(config.host, config.port) if config.port else f"a free port of {config.host}"
    table.add_row("url", url, "")
    for line in config.shown:
        if everything or line.origin != "default":
            table.add_row(line.flag, line.value, f"[dim]{line.origin}[/dim]")
    put(to, table)


_MODES = {
    Command.DEV: "development: nothing is signed, not for production (server kind: dev)",
    Command.START: "production: calls are signed, every API asks for a key (server kind: cloud)",
}
