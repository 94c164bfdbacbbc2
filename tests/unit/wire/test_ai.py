"""What providers tell of their answers: models and tokens, and nothing of what was said."""

from typing import Any

import pytest

from stepwell.wire.ai import told_of

SECRET = "what was said"
OPENAI = {
    "id": "c1",
    "model": "gpt-4o-2024",
    "choices": [{"message": {"content": SECRET}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}
RESPONSES = {
    "id": "r1",
    "model": "m",
    "output": [{"content": SECRET}],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}
ANTHROPIC = {
    "id": "a1",
    "model": "claude",
    "content": [{"text": SECRET}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 4},
}
GEMINI = {
    "modelVersion": "gemini",
    "responseId": "g1",
    "candidates": [{"content": SECRET, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
}
BEDROCK = {"output": SECRET, "stopReason": "end", "usage": {"inputTokens": 1, "outputTokens": 2}}
OLLAMA = {"model": "llama", "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 2}


@pytest.mark.parametrize(
    ("asked", "answer", "expected"),
    [
        (
            {"model": "gpt-4o", "messages": SECRET, "temperature": 0.5, "seed": 7},
            OPENAI,
            {
                "request_model": "gpt-4o",
                "response_model": "gpt-4o-2024",
                "response_id": "c1",
                "finish_reasons": ["stop"],
                "input_tokens": 9,
                "output_tokens": 5,
                "total_tokens": 14,
                "cache_read_tokens": 2,
                "reasoning_tokens": 3,
                "temperature": 0.5,
                "seed": 7,
            },
        ),
        (
            {"max_output_tokens": 8},
            RESPONSES,
            {
                "response_model": "m",
                "response_id": "r1",
                "input_tokens": 1,
                "output_tokens": 2,
                "total_tokens": 3,
                "max_tokens": 8,
            },
        ),
        (
            {},
            ANTHROPIC,
            {
                "response_model": "claude",
                "response_id": "a1",
                "finish_reasons": ["end_turn"],
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_creation_tokens": 4,
            },
        ),
        (
            {"generationConfig": {"topP": 1, "maxOutputTokens": 5}},
            GEMINI,
            {
                "response_model": "gemini",
                "response_id": "g1",
                "finish_reasons": ["STOP"],
                "input_tokens": 1,
                "output_tokens": 2,
                "total_tokens": 3,
                "top_p": 1,
                "max_tokens": 5,
            },
        ),
        ([], BEDROCK, {"finish_reasons": ["end"], "input_tokens": 1, "output_tokens": 2}),
        (
            None,
            OLLAMA,
            {
                "response_model": "llama",
                "finish_reasons": ["stop"],
                "input_tokens": 1,
                "output_tokens": 2,
            },
        ),
    ],
    ids=["openai", "responses", "anthropic", "gemini", "bedrock", "ollama"],
)
def test_what_each_provider_tells(asked: Any, answer: Any, expected: Any) -> None:
    told = told_of(asked, answer, 30)
    assert told == {**expected, "latency_ms": 30}
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        42,
        [OPENAI],
        {"id": 1, "model": "m"},
        {"usage": {"prompt_tokens": True}},
        {"usage": {"prompt_tokens": "9"}},
        {"usage": {"prompt_tokens": 10**400}},
        {"usage": {"prompt_tokens": float("nan")}},
        {"usage": 3},
    ],
)
def test_what_is_no_answer_of_a_model_tells_nothing(answer: Any) -> None:
    assert told_of({"model": "m"}, answer, 1) == {}
