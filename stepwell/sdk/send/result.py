"""What came of sending events, as middleware sees it."""

import pydantic

from stepwell.sdk.events.refusal import Clear


class SendEventsResult(Clear):
    """What came of sending events. An `error` is raised after every hook has seen it.

    Whatever else a hook sets becomes an attribute of what `send` returns.
    """

    model_config = pydantic.ConfigDict(defer_build=True, extra="allow")

    error: str | None = None
    ids: list[str] = pydantic.Field(default_factory=list[str])
