"""Models of OpenAI, by chat completions."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ChatAnswer as Answer
from stepwell.experimental.ai.body import ChatBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """OpenAI, or whoever speaks its way at another `base_url`."""

    BASE_URL = "https://api.openai.com/v1"
    KEY_VARIABLE = "OPENAI_API_KEY"
