"""The only place that names the steps of a run: the user's id, how often it was met, its hash.

Law: the same steps met in the same order get the same names, in every call and language.
"""

import msgspec

from stepwell.wire.identifier import step_hash


class StepName(msgspec.Struct, frozen=True, gc=False):
    """`hashed` is what the server knows a step by; `index` counts repetitions of `id` from 0."""

    id: str
    index: int
    hashed: str


class Names:
    """Gives each step met its name, in the order of meeting."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._met: dict[str, int] = {}

    def next(self, step_id: str) -> StepName:
        """The name of the step met now. A hash in use is skipped: `a:1` may be an id of its own."""
        index = self._met.get(step_id, 0)
        hashed = step_hash(step_id if index == 0 else f"{step_id}:{index}")
        while hashed in self._used:
            index += 1
            hashed = step_hash(f"{step_id}:{index}")
        self._used.add(hashed)
        self._met[step_id] = index + 1
        return StepName(step_id, index, hashed)
