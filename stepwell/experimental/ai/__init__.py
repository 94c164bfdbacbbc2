"""Providers of models for `ctx.step.ai.infer`: `openai.Adapter(auth_key=..., model=...)`."""

from stepwell.experimental.ai import anthropic, deepseek, gemini, grok, openai
from stepwell.experimental.ai.adapter import BaseAdapter

__all__ = ["BaseAdapter", "anthropic", "deepseek", "gemini", "grok", "openai"]
