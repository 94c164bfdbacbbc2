"""Models that Ollama runs on a machine of yours, by its OpenAI endpoint."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ChatAnswer as Answer
from stepwell.experimental.ai.body import ChatBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """Ollama. It needs no key; the server must be allowed to reach it."""

    BASE_URL = "http://127.0.0.1:11434/v1"
    KEY_VARIABLE = "OLLAMA_API_KEY"
    NEEDS_KEY = False
