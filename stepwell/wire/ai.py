"""What providers of models tell of an answer, in the terms of `inngest.ai` metadata. Pure.

Names of models, counts of tokens, parameters, why it ended: never what was asked or answered.
Sources: the answers of OpenAI's chat and responses APIs, Anthropic, Gemini, Bedrock and Ollama.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

Values: TypeAlias = dict[str, object]

KIND: Final = "inngest.ai"
_TEXT_CHARS_MAX: Final = 200
_Path: TypeAlias = tuple[str, ...]
_NUMBERS: Final[Mapping[str, tuple[_Path, ...]]] = {
    "input_tokens": (
        ("usage", "prompt_tokens"),
        ("usage", "input_tokens"),
        ("usage", "inputTokens"),
        ("usageMetadata", "promptTokenCount"),
        ("prompt_eval_count",),
    ),
    "output_tokens": (
        ("usage", "completion_tokens"),
        ("usage", "output_tokens"),
        ("usage", "outputTokens"),
        ("usageMetadata", "candidatesTokenCount"),
        ("eval_count",),
    ),
    "total_tokens": (
        ("usage", "total_tokens"),
        ("usage", "totalTokens"),
        ("usageMetadata", "totalTokenCount"),
    ),
    "cache_read_tokens": (
        ("usage", "prompt_tokens_details", "cached_tokens"),
        ("usage", "input_tokens_details", "cached_tokens"),
        ("usage", "cache_read_input_tokens"),
        ("usage", "cacheReadInputTokens"),
        ("usageMetadata", "cachedContentTokenCount"),
    ),
    "cache_creation_tokens": (
        ("usage", "cache_creation_input_tokens"),
        ("usage", "cacheWriteInputTokens"),
    ),
    "reasoning_tokens": (
        ("usage", "completion_tokens_details", "reasoning_tokens"),
        ("usage", "output_tokens_details", "reasoning_tokens"),
        ("usageMetadata", "thoughtsTokenCount"),
    ),
}
_PARAMETERS: Final[Mapping[str, tuple[_Path, ...]]] = {
    "temperature": (
        ("temperature",),
        ("generationConfig", "temperature"),
        ("inferenceConfig", "temperature"),
    ),
    "top_p": (("top_p",), ("generationConfig", "topP"), ("inferenceConfig", "topP")),
    "max_tokens": (
        ("max_tokens",),
        ("max_completion_tokens",),
        ("max_output_tokens",),
        ("generationConfig", "maxOutputTokens"),
        ("inferenceConfig", "maxTokens"),
    ),
    "frequency_penalty": (("frequency_penalty",),),
    "presence_penalty": (("presence_penalty",),),
    "seed": (("seed",), ("generationConfig", "seed")),
}
_REASONS: Final[tuple[_Path, ...]] = (("stop_reason",), ("stopReason",), ("done_reason",))


def told_of(request: object, response: object, latency_ms: int) -> Values:
    """What a provider's JSON answer, and the question, tell; nothing if it is no such answer."""
    found: Values = {}
    for name, paths in _NUMBERS.items():
        _put(found, name, _number(response, paths))
    if not found:
        return {}
    _put(found, "request_model", _text(request, (("model",),)))
    _put(found, "response_model", _text(response, (("model",), ("modelVersion",))))
    _put(found, "response_id", _text(response, (("id",), ("responseId",))))
    _put(found, "finish_reasons", _reasons(response) or None)
    for name, paths in _PARAMETERS.items():
        _put(found, name, _number(request, paths))
    found["latency_ms"] = latency_ms
    return found


def _put(found: Values, name: str, value: object) -> None:
    if value is not None:
        found[name] = value


def _at(value: object, path: _Path) -> object:
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, object]", value).get(name)
    return value


def _number(value: object, paths: Sequence[_Path]) -> int | float | None:
    for path in paths:
        found = _at(value, path)
        if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found):
            return found
    return None


def _text(value: object, paths: Sequence[_Path]) -> str | None:
    for path in paths:
        found = _at(value, path)
        if isinstance(found, str) and found:
            return found[:_TEXT_CHARS_MAX]
    return None


def _reasons(response: object) -> list[str]:
    """Why each answer ended, or the one there is."""
    several: list[str] = []
    for list_name, reason in (("choices", "finish_reason"), ("candidates", "finishReason")):
        listed = _at(response, (list_name,))
        if isinstance(listed, list):
            found = (_text(one, ((reason,),)) for one in cast("list[object]", listed))
            several += [text for text in found if text is not None]
    alone = _text(response, _REASONS)
    return several or ([] if alone is None else [alone])
