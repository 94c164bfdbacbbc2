"""A step as user code asks for it, and as the handler meets it. Pure."""

from collections.abc import Callable

import msgspec

from stepwell.sdk.step.identity import StepName
from stepwell.sdk.step.memo import Known, KnownFailure, Override
from stepwell.wire.named_limit import StepLimit
from stepwell.wire.operation import Operation


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A step as user code asks for it.

    `title` is its display name; `mode` the parallel mode it is called in, or empty; `grouped` says
    that it must be planned even if it is alone, and so must one with `limits`; `kind` refines what
    is shown of it. `report` makes
    the operation of a step that the server does; without it the step is a handler to run here.
    """

    id: str
    title: str = ""
    mode: str = ""
    grouped: bool = False
    kind: str = ""
    report: "Callable[[Met], Operation] | None" = None
    limits: tuple[StepLimit, ...] = ()

    @property
    def is_planned(self) -> bool:
        """Must it get a call of its own, even if it is alone?"""
        return self.grouped or bool(self.limits)


class Met(msgspec.Struct, frozen=True, gc=False):
    """A step the handler met: what it asked for, its name in this run, and what is known of it."""

    ask: Ask
    name: StepName
    memo: Known | KnownFailure | Override | None

    @property
    def title(self) -> str:
        """What people are shown."""
        return self.ask.title or self.name.id
