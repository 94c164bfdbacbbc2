"""What hooks receive and may change. Source: features C.4, C.7."""

from dataclasses import dataclass

import pydantic

from stepwell.sdk.codec import UNSPECIFIED


class SendEventsResult(pydantic.BaseModel):
    """What came of sending events. An `error` is raised after every hook has seen it."""

    error: str | None = None
    ids: list[str] = pydantic.Field(default_factory=list[str])


@dataclass(slots=True)
class TransformOutputStepInfo:
    """The step an output belongs to. `opts` is what the server is told about it."""

    id: str
    op: str
    opts: dict[str, object] | None


@dataclass(slots=True)
class TransformOutputResult:
    """An output on its way out: of a step, or of the function if `step` is None. Change it here.

    `output` is plain JSON values, as they will be stored.
    """

    error: Exception | None
    output: object
    step: TransformOutputStepInfo | None

    def has_output(self) -> bool:
        """Is there an output at all? A step that sleeps, waits or failed has none."""
        return self.output is not UNSPECIFIED
