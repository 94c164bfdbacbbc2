"""What an adapter is, and what those here have in common."""

import os
from collections.abc import Mapping
from typing import ClassVar, Protocol

from stepwell.sdk.errors import ConfigurationError


class BaseAdapter(Protocol):
    """What `step.ai.infer` asks of an adapter; write your own for another provider."""

    def auth_key(self) -> str:
        """The provider's key."""
        ...

    def format(self) -> str:
        """Whose way of speaking the server is to use: openai-chat, anthropic or gemini."""
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


class ModelAdapter(BaseAdapter):
    """A provider whose endpoint is a path below a base URL."""

    FORMAT: ClassVar[str]
    BASE_URL: ClassVar[str]
    PATH: ClassVar[str]
    HEADERS: ClassVar[Mapping[str, str]] = {}
    KEY_VARIABLE: ClassVar[str]

    def __init__(
        self,
        *,
        auth_key: str | None = None,
        model: str,
        base_url: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Choose a model.

        Args:
            auth_key: The provider's key; left out, it is read from the provider's usual variable
                of the environment, such as OPENAI_API_KEY.
            model: The model that is asked if the body names none.
            base_url: Of another endpoint that speaks the same way.
            headers: Further headers, in place of the provider's usual ones.

        Raises ConfigurationError if there is no key.
        """
        key = auth_key or os.environ.get(self.KEY_VARIABLE)
        if not key:
            raise ConfigurationError(f"auth_key is missing: pass it, or set {self.KEY_VARIABLE}")
        self._auth_key = key
        self._model = model
        self._base_url = (base_url or self.BASE_URL).rstrip("/")
        self._headers = headers or dict(self.HEADERS)

    def auth_key(self) -> str:
        """The provider's key."""
        return self._auth_key

    def format(self) -> str:
        """Whose way of speaking the server is to use."""
        return self.FORMAT

    def headers(self) -> dict[str, str]:
        """Further headers of the request."""
        return self._headers

    def on_call(self, body: dict[str, object]) -> None:
        """Name the model, if the body names none."""
        if not body.get("model"):
            body["model"] = self._model

    def url_infer(self) -> str:
        """Where the request goes."""
        return self._base_url + self.PATH
