"""Models of Anthropic."""

from collections.abc import Mapping
from typing import ClassVar

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import AnthropicAnswer as Answer
from stepwell.experimental.ai.body import AnthropicBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """Claude."""

    FORMAT = "anthropic"
    BASE_URL = "https://api.anthropic.com/v1"
    PATH = "/messages"
    KEY_VARIABLE = "ANTHROPIC_API_KEY"
    HEADERS: ClassVar[Mapping[str, str]] = {"anthropic-version": "2023-06-01"}
