"""Models of DeepSeek."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter

__all__ = ["Adapter", "BaseAdapter"]


class Adapter(ModelAdapter):
    """DeepSeek."""

    FORMAT = "openai-chat"
    BASE_URL = "https://api.deepseek.com/v1"
    PATH = "/chat/completions"
    KEY_VARIABLE = "DEEPSEEK_API_KEY"
