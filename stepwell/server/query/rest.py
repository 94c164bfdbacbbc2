"""Why work that is due is not done: who is waited for, since when, and what to do about it.

Pure. `run`, `doctor` and the API say the same words. What a run waits for by its own will (a sleep,
an event) is told by the timeline.
"""

from enum import StrEnum

import msgspec

from stepwell.server.engine.row.run import AppRow, Run
from stepwell.wire.duration import format_instant


class Hindrance(StrEnum):
    """Why an app does not do its work."""

    APP_UNKNOWN = "app_unknown"
    FUNCTION_GONE = "function_gone"
    APP_AWAY = "app_away"
    NO_WORKER = "no_worker"
    BUSY = "busy"
    LIMIT = "limit"
    PAUSED = "paused"
    CODE_CHANGED = "code_changed"


class Reach(msgspec.Struct, frozen=True):
    """How the server reaches an app for one of its functions, as it is now.

    `gone_ms` says since when the function is no longer served (0 if it is, or nobody knows);
    `closed_ms`, since when nobody takes calls of the app (0 if somebody does); `busy`, how many
    calls of it are under way where there is no room for more. `named` is an address the server
    was started with, at which the app was served before.
    """

    app: AppRow | None
    served: bool = True
    gone_ms: int = 0
    closed_ms: int = 0
    busy: int = 0
    named: str = ""


class Rest(msgspec.Struct, frozen=True, rename="camel"):
    """Why work rests: a word for programs, a sentence for people, and since when (0: unknown)."""

    reason: Hindrance
    text: str
    since_ms: int = 0


def rest(run: Run, reach: Reach) -> Rest | None:
    """What keeps a due call of this run from being made; None if nothing does."""
    app = reach.app
    if app is None:
        since = _since(reach.gone_ms)
        text = f"app {run.app} is not registered{since}: start it, or sync it with -u <its URL>"
        return Rest(Hindrance.APP_UNKNOWN, text, reach.gone_ms)
    if not reach.served:
        since = _since(reach.gone_ms)
        text = (
            f"app {run.app} no longer serves function {run.function}{since}: serve it again under"
            " that id, or cancel the run"
        )
        return Rest(Hindrance.FUNCTION_GONE, text, reach.gone_ms)
    if reach.closed_ms and app.method == "connect":
        text = f"no worker of app {run.app} is connected{_since(reach.closed_ms)}: start one"
        if reach.named:
            text += f" (it was served at {reach.named} before a worker registered it)"
        return Rest(Hindrance.NO_WORKER, text, reach.closed_ms)
    if app.error:
        text = f"app {run.app} cannot be reached at {app.url}: {app.error}"
        return Rest(Hindrance.APP_AWAY, text)
    if reach.closed_ms:
        text = f"nobody takes calls of app {run.app}{_since(reach.closed_ms)}: start it"
        return Rest(Hindrance.APP_AWAY, text, reach.closed_ms)
    if reach.busy:
        text = f"app {run.app} has {reach.busy} calls under way and takes no more at"
        text += " once; the end of one makes room"
        return Rest(Hindrance.BUSY, text)
    return None


def _since(at_ms: int) -> str:
    return f" since {format_instant(at_ms)}" if at_ms else ""
