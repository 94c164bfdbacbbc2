"""How a handler is left: the one exception that unwinds it, and whose code is running.

The only place for these context variables. Law: `Suspended` passes by user code's
`except Exception`, and nothing that happens after it changes the answer of the call.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from stepwell.sdk.step.identity import StepName
from stepwell.sdk.step.noted import Noted


class Suspended(BaseException):
    """Raised at the step where a call of a handler ends; the handler is called again later.

    Let it pass: `finally` and `with` blocks run as usual, and `except BaseException` must raise it
    again. Steps called while it passes raise it once more. `async with` blocks may await whatever
    they need to close, except steps.
    """


class Home(Protocol):
    """The call a piece of code belongs to, as those see it who only meet it in passing.

    `watcher` is told of every task the handler starts; None if it is no coroutine. `sessions` are
    those of the run's events that its events inherit. `taken` has, by the hashed id of a step, what
    it took of named limits; `noted`, what steps say of themselves and of the run.
    """

    run_id: str
    attempt: int
    step: object
    watcher: Any
    sessions: Mapping[str, str]
    taken: dict[str, list[Any]]
    noted: Noted

    @property
    def is_targeted(self) -> bool:
        """Is the call one for a single step?"""
        ...


HOME: ContextVar[Home | None] = ContextVar("stepwell_call", default=None)
"""The call whose handler runs here."""

INSIDE_STEP: ContextVar[StepName | None] = ContextVar("stepwell_inside_step", default=None)
"""The step whose handler runs here: no step may be called."""


def current_sessions() -> Mapping[str, str]:
    """The sessions that events of the run whose code runs here inherit, in a step or not."""
    home = HOME.get()
    return {} if home is None else home.sessions


def current_run_id() -> str:
    """The run whose code runs here, in a step or not; nothing outside of one."""
    home = HOME.get()
    return "" if home is None else home.run_id


def current_step() -> object | None:
    """The step tools of the handler that runs here; None outside a handler, or inside a step."""
    home = HOME.get()
    return None if home is None or INSIDE_STEP.get() is not None else home.step
