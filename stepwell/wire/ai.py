"""What providers of models tell of an answer, in the terms of `inngest.ai` metadata. Pure.

Names of models, counts of tokens, parameters, why it ended: never what was asked or answered.
Sources: the answers of OpenAI's chat and responses APIs, Anthropic, Gemini, Bedrock and Ollama; and
the semantic conventions of OpenTelemetry for spans of models.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

Values: TypeAlias = dict[str, object]

KIND: Final = "inngest.ai"
_TEXT_CHARS_MAX: Final = 200
_NUMBER_MAX: Final = 2**63
"""Nothing that is told is larger; what is no number is not below it."""
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
_SPAN_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "request_model": ("gen_ai.request.model",),
    "response_model": ("gen_ai.response.model",),
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "operation_name": ("gen_ai.operation.name",),
    "response_id": ("gen_ai.response.id",),
}
_SPAN_SUMS: Final[Mapping[str, str]] = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
_SPAN_NUMBERS: Final[Mapping[str, str]] = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
}
_OF_AGENTS: Final = frozenset({"create_agent", "invoke_agent", "invoke_workflow"})
"""Operations whose spans sum up what the spans of models within them tell, too."""
_SPAN_REASONS: Final = "gen_ai.response.finish_reasons"
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


def told_of_span(attributes: Mapping[str, object], latency_ms: int) -> Values:
    """What a span of a model tells; nothing if it is none, or sums up others."""
    if attributes.get("gen_ai.operation.name") in _OF_AGENTS:
        return {}
    found: Values = {}
    for name, keys in _SPAN_TEXTS.items():
        _put(found, name, _text(attributes, [(key,) for key in keys]))
    for name, key in (*_SPAN_SUMS.items(), *_SPAN_NUMBERS.items()):
        _put(found, name, _number(attributes, ((key,),)))
    reasons = attributes.get(_SPAN_REASONS)
    if isinstance(reasons, list | tuple):
        texts = [one for one in cast("Sequence[object]", reasons) if isinstance(one, str) and one]
        _put(found, "finish_reasons", texts or None)
    if found:
        found["latency_ms"] = latency_ms
    return found


def together(known: Values, more: Values) -> Values:
    """What several answers tell of one step: tokens and time add up, the last says the rest."""
    found = {**known, **more}
    for name in (*_SPAN_SUMS, "latency_ms"):
        one, other = known.get(name), more.get(name)
        if isinstance(one, int | float) and isinstance(other, int | float):
            found[name] = one + other
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
        if isinstance(found, bool) or not isinstance(found, int | float):
            continue
        if abs(found) <= _NUMBER_MAX:
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
