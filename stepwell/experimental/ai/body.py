"""What providers are asked and what they answer, as types: the fields that programs use most.

A provider knows more fields than stand here, and new ones come. A body with such a field is given
as a plain `dict[str, object]`, and the answer is one, too. Nothing is judged when it runs.
"""

from typing import Literal, NotRequired, TypedDict


class ChatFunction(TypedDict):
    """A function that the model may ask for, its parameters as a JSON schema."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[dict[str, object]]


class ChatTool(TypedDict):
    """A tool of the model: a function."""

    type: Literal["function"]
    function: ChatFunction


class ChatCalled(TypedDict):
    """Which function the model asks for; `arguments` is JSON as text."""

    name: str
    arguments: str


class ChatToolCall(TypedDict):
    """One wish of the model to use a tool; the tool's answer names its id."""

    id: str
    type: str
    function: ChatCalled


class ChatMessage(TypedDict):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: NotRequired[str | list[dict[str, object]] | None]
    name: NotRequired[str]
    tool_calls: NotRequired[list[ChatToolCall]]
    tool_call_id: NotRequired[str]


class ChatBody(TypedDict):
    """What OpenAI's chat completions take, and whoever speaks their way."""

    messages: list[ChatMessage]
    model: NotRequired[str]
    temperature: NotRequired[float]
    top_p: NotRequired[float]
    max_tokens: NotRequired[int]
    max_completion_tokens: NotRequired[int]
    n: NotRequired[int]
    seed: NotRequired[int]
    stop: NotRequired[str | list[str]]
    tools: NotRequired[list[ChatTool]]
    tool_choice: NotRequired[str | dict[str, object]]
    response_format: NotRequired[dict[str, object]]
    reasoning_effort: NotRequired[str]
    user: NotRequired[str]


class ChatAnswered(TypedDict):
    """The message of a choice; `content` is None where the model asks for tools alone."""

    role: str
    content: str | None
    refusal: NotRequired[str | None]
    tool_calls: NotRequired[list[ChatToolCall]]


class ChatChoice(TypedDict):
    """One of the answers."""

    index: int
    message: ChatAnswered
    finish_reason: str


class ChatUsage(TypedDict):
    """Tokens that were counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatAnswer(TypedDict):
    """What chat completions answer."""

    id: str
    model: str
    choices: list[ChatChoice]
    usage: NotRequired[ChatUsage]


class ResponsesBody(TypedDict):
    """What OpenAI's responses take."""

    input: str | list[dict[str, object]]
    model: NotRequired[str]
    instructions: NotRequired[str]
    max_output_tokens: NotRequired[int]
    previous_response_id: NotRequired[str]
    reasoning: NotRequired[dict[str, object]]
    temperature: NotRequired[float]
    text: NotRequired[dict[str, object]]
    tools: NotRequired[list[dict[str, object]]]
    tool_choice: NotRequired[str | dict[str, object]]


class TokenUsage(TypedDict):
    """Tokens that were counted."""

    input_tokens: int
    output_tokens: int


class ResponsesAnswer(TypedDict):
    """What responses answer: `output` holds messages, calls of tools and reasoning."""

    id: str
    model: str
    status: str
    output: list[dict[str, object]]
    usage: NotRequired[TokenUsage]


class AnthropicMessage(TypedDict):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str | list[dict[str, object]]


class AnthropicTool(TypedDict):
    """A tool that the model may ask for."""

    name: str
    input_schema: dict[str, object]
    description: NotRequired[str]


class AnthropicBody(TypedDict):
    """What Anthropic's messages take."""

    max_tokens: int
    messages: list[AnthropicMessage]
    model: NotRequired[str]
    system: NotRequired[str | list[dict[str, object]]]
    stop_sequences: NotRequired[list[str]]
    temperature: NotRequired[float]
    thinking: NotRequired[dict[str, object]]
    tools: NotRequired[list[AnthropicTool]]
    tool_choice: NotRequired[dict[str, object]]


class AnthropicBlock(TypedDict):
    """A piece of an answer: `text` of it, or a tool's `name` and `input`."""

    type: str
    text: NotRequired[str]
    id: NotRequired[str]
    name: NotRequired[str]
    input: NotRequired[dict[str, object]]


class AnthropicAnswer(TypedDict):
    """What messages answer."""

    id: str
    model: str
    role: str
    content: list[AnthropicBlock]
    stop_reason: str | None
    usage: TokenUsage


class GeminiPart(TypedDict, total=False):
    """A piece of a message."""

    text: str
    inlineData: dict[str, object]
    functionCall: dict[str, object]
    functionResponse: dict[str, object]


class GeminiContent(TypedDict):
    """One message of a conversation."""

    parts: list[GeminiPart]
    role: NotRequired[str]


class GeminiBody(TypedDict):
    """What Gemini's `generateContent` takes."""

    contents: list[GeminiContent]
    systemInstruction: NotRequired[GeminiContent]
    generationConfig: NotRequired[dict[str, object]]
    safetySettings: NotRequired[list[dict[str, object]]]
    tools: NotRequired[list[dict[str, object]]]
    toolConfig: NotRequired[dict[str, object]]


class GeminiCandidate(TypedDict):
    """One of the answers."""

    content: GeminiContent
    finishReason: NotRequired[str]


class GeminiAnswer(TypedDict):
    """What `generateContent` answers."""

    candidates: list[GeminiCandidate]
    usageMetadata: NotRequired[dict[str, object]]
    modelVersion: NotRequired[str]


class ConverseMessage(TypedDict):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: list[dict[str, object]]


class ConverseBody(TypedDict):
    """What Bedrock's `converse` takes."""

    messages: list[ConverseMessage]
    system: NotRequired[list[dict[str, object]]]
    inferenceConfig: NotRequired[dict[str, object]]
    toolConfig: NotRequired[dict[str, object]]


class ConverseOutput(TypedDict):
    """The message that is the answer."""

    message: ConverseMessage


class ConverseUsage(TypedDict):
    """Tokens that were counted."""

    inputTokens: int
    outputTokens: int
    totalTokens: int


class ConverseAnswer(TypedDict):
    """What `converse` answers."""

    output: ConverseOutput
    stopReason: str
    usage: ConverseUsage
