"""Models of xAI."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ChatAnswer as Answer
from stepwell.experimental.ai.body import ChatBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """Grok."""

    BASE_URL = "https://api.x.ai/v1"
    KEY_VARIABLE = "XAI_API_KEY"
