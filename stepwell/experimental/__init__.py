"""Steps without a context at hand: what the official SDK has under this name, and our own of it."""

from stepwell.sdk.step.ambient import get_step_context, set_step_context, step

__all__ = ["get_step_context", "set_step_context", "step"]
