"""Models of OpenAI."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter

__all__ = ["Adapter", "BaseAdapter"]


class Adapter(ModelAdapter):
    """OpenAI, or whoever speaks its way at another `base_url`."""

    FORMAT = "openai-chat"
    BASE_URL = "https://api.openai.com/v1"
    PATH = "/chat/completions"
    KEY_VARIABLE = "OPENAI_API_KEY"
