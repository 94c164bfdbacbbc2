"""Asking a model as a step that the server does: what an adapter is, the question, the answer."""

from typing import Any, Protocol, TypedDict, TypeVar, cast

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step import option
from stepwell.sdk.step.ask import Fit, ask
from stepwell.sdk.step.asked import Ask
from stepwell.sdk.value.codec import CodecError, codec_of, encode_any

_OBJECT = codec_of(dict[str, object])


class InferenceAdapter(Protocol):
    """How a provider of inference is asked."""

    def auth_key(self) -> str:
        """The provider's key."""
        ...

    def format(self) -> str:
        """The dialect: `openai-chat`, `anthropic`, `gemini` or `bedrock`."""
        ...

    def headers(self) -> dict[str, str]:
        """Further headers."""
        ...

    def on_call(self, body: dict[str, object]) -> None:
        """Complete the body before it is sent."""
        ...

    def url_infer(self) -> str:
        """Where to ask."""
        ...


class AnyBody(TypedDict):
    """A body that has a type: every TypedDict is one, and a plain dict is none."""


AnswerT_co = TypeVar("AnswerT_co", covariant=True)
BodyT_contra = TypeVar("BodyT_contra", bound=AnyBody, contravariant=True)


class TypedAdapter(InferenceAdapter, Protocol[BodyT_contra, AnswerT_co]):
    """An adapter that knows the types of what its provider takes and answers."""

    def answered(self, body: BodyT_contra, found: dict[str, object]) -> AnswerT_co:
        """What the step gives for the provider's JSON."""
        ...


def infer(step_id: str, name: str | None, adapter: InferenceAdapter, body: Any, *, fit: Fit) -> Ask:
    """An inference the server asks for. `fit` refuses a body that the server would change."""
    adapter.on_call(body)
    try:
        payload = fit(encode_any(body))
    except CodecError as error:
        raise ConfigurationError(f'step "{step_id}": body: {error}') from None
    return ask(
        step_id,
        name,
        option.infer(
            adapter.url_infer(), adapter.format(), adapter.auth_key(), adapter.headers(), payload
        ),
    )


def inferred(adapter: InferenceAdapter, body: Any, data: msgspec.Raw) -> Any:
    """The provider's JSON, or what the adapter makes of it."""
    found: dict[str, object] = _OBJECT.decode(data)
    if not hasattr(adapter, "answered"):
        return found
    return cast("TypedAdapter[Any, Any]", adapter).answered(body, found)
