"""Models of Mistral."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ChatAnswer as Answer
from stepwell.experimental.ai.body import ChatBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """Mistral."""

    BASE_URL = "https://api.mistral.ai/v1"
    KEY_VARIABLE = "MISTRAL_API_KEY"
