"""Models of DeepSeek."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ChatAnswer as Answer
from stepwell.experimental.ai.body import ChatBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """DeepSeek."""

    BASE_URL = "https://api.deepseek.com/v1"
    KEY_VARIABLE = "DEEPSEEK_API_KEY"
