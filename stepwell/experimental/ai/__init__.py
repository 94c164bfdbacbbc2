"""Providers of models for `ctx.step.ai.infer`: `openai.Adapter(auth_key=..., model=...)`.

Each has `Body` and `Answer`, the types of what it takes and answers.
"""

from stepwell.experimental.ai import (
    anthropic,
    azure_openai,
    bedrock,
    deepseek,
    gemini,
    grok,
    litellm,
    mistral,
    ollama,
    openai,
    openai_responses,
)
from stepwell.experimental.ai.adapter import BaseAdapter

__all__ = [
    "BaseAdapter",
    "anthropic",
    "azure_openai",
    "bedrock",
    "deepseek",
    "gemini",
    "grok",
    "litellm",
    "mistral",
    "ollama",
    "openai",
    "openai_responses",
]
