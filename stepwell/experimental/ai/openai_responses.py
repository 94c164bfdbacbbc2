"""Models of OpenAI, by its responses."""

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ResponsesAnswer as Answer
from stepwell.experimental.ai.body import ResponsesBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """OpenAI, asked for a response."""

    FORMAT = "openai-responses"
    BASE_URL = "https://api.openai.com/v1"
    PATH = "/responses"
    KEY_VARIABLE = "OPENAI_API_KEY"
