"""What an adapter is, and what those here have in common."""

import os
from collections.abc import Mapping
from typing import ClassVar, Generic, Protocol, TypeVar, cast

from stepwell.sdk.errors import ConfigurationError

BodyT = TypeVar("BodyT")
AnswerT = TypeVar("AnswerT")


class BaseAdapter(Protocol):
    """What `step.ai.infer` asks of an adapter; write your own for another provider."""

    def auth_key(self) -> str:
        """The provider's key."""
        ...

    def format(self) -> str:
        """Where the server puts the key: openai-chat and others as a bearer token, anthropic in
        `x-api-key`, gemini in the address, bedrock as it is in `authorization`."""
        ...

    def headers(self) -> dict[str, str]:
        """Further headers of the request."""
        ...

    def on_call(self, body: dict[str, object]) -> None:
        """Complete the body of the request."""
        ...

    def url_infer(self) -> str:
        """Where the request goes."""
        ...


class ModelAdapter(BaseAdapter, Generic[BodyT, AnswerT]):
    """A provider whose endpoint is a path below a base URL."""

    FORMAT: ClassVar[str] = "openai-chat"
    BASE_URL: ClassVar[str]
    PATH: ClassVar[str] = "/chat/completions"
    HEADERS: ClassVar[Mapping[str, str]] = {}
    KEY_VARIABLE: ClassVar[str]
    NEEDS_KEY: ClassVar[bool] = True
    NAMES_MODEL: ClassVar[bool] = True

    def __init__(
        self,
        *,
        auth_key: str | None = None,
        model: str,
        base_url: str | None = None,
        headers: dict[str, str] | None = None,
        default_parameters: Mapping[str, object] | None = None,
    ) -> None:
        """Choose a model.

        Args:
            auth_key: The provider's key; left out, it is read from the provider's usual variable
                of the environment, such as OPENAI_API_KEY.
            model: The model that is asked if the body names none.
            base_url: Of another endpoint that speaks the same way.
            headers: Further headers, in place of the provider's usual ones.
            default_parameters: Fields of each body that does not have them, such as a temperature.

        Raises ConfigurationError if there is no key and the provider wants one.
        """
        key = auth_key or os.environ.get(self.KEY_VARIABLE) or ""
        if self.NEEDS_KEY and not key:
            raise ConfigurationError(f"auth_key is missing: pass it, or set {self.KEY_VARIABLE}")
        self._auth_key = key
        self._model = model
        self._base_url = (base_url or self.BASE_URL).rstrip("/")
        self._headers = headers or dict(self.HEADERS)
        self._default_parameters = dict(default_parameters or {})

    def auth_key(self) -> str:
        """The provider's key."""
        return self._auth_key

    def format(self) -> str:
        """Where the server puts the key."""
        return self.FORMAT

    def headers(self) -> dict[str, str]:
        """Further headers of the request."""
        return self._headers

    def on_call(self, body: dict[str, object]) -> None:
        """Add what each body has, and name the model, if the body names none."""
        for name, value in self._default_parameters.items():
            body.setdefault(name, value)
        if self.NAMES_MODEL and not body.get("model"):
            body["model"] = self._model

    def url_infer(self) -> str:
        """Where the request goes."""
        return self._base_url + self.PATH

    def answered(self, body: BodyT, found: dict[str, object]) -> AnswerT:
        """The provider's answer by its type; nothing of it is judged."""
        return cast("AnswerT", cast(object, found))
