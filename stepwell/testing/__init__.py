"""Tests of durable functions: the real engine in memory, on a clock that the test moves.

With pytest there is nothing to set up: ask for the fixture `stepwell`. See docs/testing.md.
`contract` and `simulation` beside it are for whoever writes stores, adapters and the engine.
"""

from stepwell.sdk.extra import Extra

with Extra("server", "stepwell.testing"):
    from stepwell.testing.harness.errors import HarnessError, NotEnded
    from stepwell.testing.harness.harness import Harness
    from stepwell.testing.harness.harness_sync import HarnessSync
    from stepwell.testing.harness.order import Order
    from stepwell.testing.harness.run import Run, Sent
    from stepwell.testing.harness.stub import Stub
    from stepwell.testing.unit import AsyncStepwellTestCase, StepwellTestCase

__all__ = [
    "AsyncStepwellTestCase",
    "Harness",
    "HarnessError",
    "HarnessSync",
    "NotEnded",
    "Order",
    "Run",
    "Sent",
    "StepwellTestCase",
    "Stub",
]
