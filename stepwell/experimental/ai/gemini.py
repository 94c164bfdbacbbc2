"""Models of Google."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import GeminiAnswer as Answer
from stepwell.experimental.ai.body import GeminiBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """Gemini: the model and the key are part of the URL."""

    FORMAT = "gemini"
    BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
    KEY_VARIABLE = "GEMINI_API_KEY"

    def url_infer(self) -> str:
        """Where the request goes."""
        return f"{self._base_url}/models/{self._model}:generateContent?key={self._auth_key}"
