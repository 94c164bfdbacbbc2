"""Models of OpenAI that Azure runs."""

import urllib.parse
from collections.abc import Mapping

from stepwell.experimental.ai.adapter import BaseAdapter, ModelAdapter
from stepwell.experimental.ai.body import ChatAnswer as Answer
from stepwell.experimental.ai.body import ChatBody as Body

__all__ = ["Adapter", "Answer", "BaseAdapter", "Body"]


class Adapter(ModelAdapter[Body, Answer]):
    """A deployment on Azure."""

    FORMAT = "azure-openai"
    KEY_VARIABLE = "AZURE_OPENAI_API_KEY"

    def __init__(
        self,
        *,
        auth_key: str | None = None,
        model: str,
        endpoint: str,
        deployment: str,
        api_version: str,
        headers: dict[str, str] | None = None,
        default_parameters: Mapping[str, object] | None = None,
    ) -> None:
        """Choose a deployment: `endpoint` is `https://NAME.openai.azure.com`.

        Raises ConfigurationError if there is no key, neither here nor in AZURE_OPENAI_API_KEY.
        """
        super().__init__(
            auth_key=auth_key,
            model=model,
            base_url=endpoint,
            headers=headers,
            default_parameters=default_parameters,
        )
        self._headers = {"api-key": self._auth_key, **self._headers}
        self._path = f"/openai/deployments/{urllib.parse.quote(deployment)}/chat/completions"
        self._query = urllib.parse.urlencode({"api-version": api_version})

    def url_infer(self) -> str:
        """Where the request goes."""
        return f"{self._base_url}{self._path}?{self._query}"
