"""Models that Amazon Bedrock runs, by its `converse`."""

import urllib.parse
from collections.abc import Mapping

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ConverseAnswer as Answer
from stepwell.experimental.ai.body import ConverseBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """A model of a region, asked with a Bedrock API key. Its body does not name the model."""

    FORMAT = "bedrock"
    KEY_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"
    NAMES_MODEL = False

    def __init__(
        self,
        *,
        auth_key: str | None = None,
        model: str,
        region: str,
        base_url: str | None = None,
        headers: dict[str, str] | None = None,
        default_parameters: Mapping[str, object] | None = None,
    ) -> None:
        """Choose a model of a region, such as `us-east-1`.

        Raises ConfigurationError if there is no key, neither here nor in AWS_BEARER_TOKEN_BEDROCK.
        """
        super().__init__(
            auth_key=auth_key,
            model=model,
            base_url=base_url or f"https://bedrock-runtime.{region}.amazonaws.com",
            headers=headers,
            default_parameters=default_parameters,
        )

    def auth_key(self) -> str:
        """The key as the header wants it."""
        return f"Bearer {self._auth_key}"

    def url_infer(self) -> str:
        """Where the request goes."""
        return f"{self._base_url}/model/{urllib.parse.quote(self._model, safe='')}/converse"
