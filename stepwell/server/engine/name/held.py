"""Where calls wait whose run began under other code: the only place that makes and reads the names
of such places, and that says whether the calls of a run are in one.

A place is what a queue begins with: an app, or for these calls the app with the policy, the
function and the code. Workers with that code serve those of `pin`; nobody serves those of `pause`.
"""

from stepwell.server.engine.name.lane import place_of
from stepwell.server.engine.row.run import Run
from stepwell.wire.function_config import CODE_PAUSE, CODE_PIN, Code

_MARK = "\x1e"
HOLDING = (CODE_PIN, CODE_PAUSE)
"""The policies under which calls wait."""


def has_changed(run: Run, code: Code) -> bool:
    """Whether the run got its results from other code; False where one of them is not known."""
    return bool(run.started_ms and run.code and code.version and run.code != code.version)


def place_held(run: Run, code: Code) -> str:
    """Where the calls of a run wait under this code; empty if they do not."""
    if code.on_change not in HOLDING or not has_changed(run, code):
        return ""
    return held_place(run.app, code.on_change, run.function, run.code)


def held_place(app: str, policy: str, function: str, code: str) -> str:
    """The place of a function, a code and a policy."""
    return _MARK.join((app, policy, function, code))


def is_held(place: str) -> bool:
    """Whether calls wait at a place because of their code."""
    return _MARK in place


def is_pinned(place: str) -> bool:
    """Whether calls wait at a place for a worker with their code."""
    return place.split(_MARK)[1:2] == [CODE_PIN]


def app_of(queue: str) -> str:
    """Whose calls are in a queue: an app's, or the gateway's own."""
    return place_of(queue).partition(_MARK)[0]
