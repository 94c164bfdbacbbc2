"""Models behind a LiteLLM proxy."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ChatAnswer as Answer
from stepwell.experimental.ai.body import ChatBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """A LiteLLM proxy. The server must be allowed to reach it."""

    BASE_URL = "http://127.0.0.1:4000/v1"
    KEY_VARIABLE = "LITELLM_API_KEY"
    NEEDS_KEY = False
