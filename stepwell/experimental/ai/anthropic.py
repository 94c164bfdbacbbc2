"""Models of Anthropic."""

from collections.abc import Mapping
from typing import ClassVar

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter

__all__ = ["Adapter", "BaseAdapter"]


class Adapter(ModelAdapter):
    """Claude."""

    FORMAT = "anthropic"
    BASE_URL = "https://api.anthropic.com/v1"
    PATH = "/messages"
    KEY_VARIABLE = "ANTHROPIC_API_KEY"
    HEADERS: ClassVar[Mapping[str, str]] = {"anthropic-version": "2023-06-01"}
