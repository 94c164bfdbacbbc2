"""What `opentelemetry-instrument` begins: every client of the program traces, without a line of it.

The only place that changes how clients are made.
"""

from collections.abc import Collection, Sequence
from functools import wraps
from inspect import isclass
from typing import Any, cast
from weakref import WeakSet

from stepwell.opentelemetry import OpenTelemetryMiddleware, RunSpanProcessor
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.extra import Extra

with Extra("opentelemetry", "tracing"):
    from opentelemetry import trace
with Extra("opentelemetry-instrument", "tracing without a line of code"):
    # mypy is told to pass over that module.
    from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
        BaseInstrumentor,
    )


_CLIENTS: Any = Inngest
_shown: WeakSet[object] = WeakSet()
"""Providers whose spans are shown in runs: once, however often one instruments."""


class StepwellInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """`StepwellInstrumentor().instrument()`: clients that are made from now on trace their calls,
    steps and sends, and spans of the program are shown in the runs they belong to.

    A client with `OpenTelemetryMiddleware` of its own keeps that. `tracer_provider` names another
    provider than the global one, which must be set before clients are made. Spans of runs go to the
    server of the first client. `uninstrument()` leaves clients that are there as they are.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Nothing besides this package."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        provider: trace.TracerProvider | None = kwargs.get("tracer_provider")
        traced = OpenTelemetryMiddleware.factory(tracer_provider=provider)
        made = Inngest.__init__

        @wraps(made)
        def make(client: Inngest, **told: Any) -> None:
            given: object = told.get("middleware") or []
            if isinstance(given, list | tuple):
                own = list(cast("Sequence[object]", given))
                told["middleware"] = own if any(map(_traces, own)) else [traced, *own]
            made(client, **told)
            _show_once(client, provider or trace.get_tracer_provider())

        self._made = made
        _CLIENTS.__init__ = make

    def _uninstrument(self, **kwargs: Any) -> None:
        _CLIENTS.__init__ = self._made


def _traces(middleware: object) -> bool:
    return isclass(middleware) and issubclass(middleware, OpenTelemetryMiddleware)


def _show_once(client: Inngest, provider: object) -> None:
    """Have spans of the program shown in runs, if its provider takes processors."""
    add = getattr(provider, "add_span_processor", None)
    if add is not None and provider not in _shown:
        _shown.add(provider)
        add(RunSpanProcessor(client))
