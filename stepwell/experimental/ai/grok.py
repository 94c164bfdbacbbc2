"""Models of xAI."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter

__all__ = ["Adapter", "BaseAdapter"]


class Adapter(ModelAdapter):
    """Grok."""

    FORMAT = "openai-chat"
    BASE_URL = "https://api.x.ai/v1"
    PATH = "/chat/completions"
    KEY_VARIABLE = "XAI_API_KEY"
