"""What an endpoint is set to in the environment of one request.

The only place that decides it. Most requests bring no environment: they share one setup, made anew
when the client's settings change.
"""

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import msgspec

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.client.reach import Reach, within
from stepwell.sdk.errors import SigningKeyMissingError
from stepwell.sdk.net.agent import common_headers
from stepwell.sdk.serve.checkpoint import Checkpoints
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.settings import ServeOptions, ServeSettings, Settings, resolve_serve
from stepwell.wire import header

_KEPT_MAX = 16
"""How many environments are remembered; platforms have one or two per process."""


class Keys(msgspec.Struct, frozen=True):
    """The signing keys `serve` was told; None where the client's count."""

    signing_key: str | None = None
    signing_key_fallback: str | None = None


class Setup(msgspec.Struct, frozen=True):
    """What counts while one request is answered, whatever else is answered meanwhile."""

    client: Inngest
    reach: Reach
    serve: ServeSettings
    headers: dict[str, str]
    checkpoints: Checkpoints

    @property
    def settings(self) -> Settings:
        """Mode, keys and origins."""
        return self.reach.settings

    def applied(self) -> AbstractContextManager[None]:
        """Around code of the request: what it asks and sends through the client goes by this."""
        if self.reach is self.client.own_reach:
            return nullcontext()
        return within(self.client, self.reach)


class Setups:
    """The setups of one endpoint, by environment."""

    def __init__(
        self, client: Inngest, options: ServeOptions, keys: Keys, *, framework: str
    ) -> None:
        """Raises SigningKeyMissingError in cloud mode without a signing key, ConfigurationError for
        settings that cannot be used."""
        self._client = client
        self._options = options
        self._keys = keys
        self._framework = framework
        self._made_for = client.own_reach
        self._own = self._made(self._own_reach())
        self._others: OrderedDict[object, Setup] = OrderedDict()

    @property
    def own(self) -> Setup:
        """That of the process's environment."""
        self._renew()
        return self._own

    def of(self, request: ServeRequest) -> Setup:
        """That of a request. Raises as the constructor does."""
        self._renew()
        if request.variables is None and request.is_production is None:
            return self._own
        variables = request.variables or {}
        identity = (frozenset(variables.items()), request.is_production)
        found = self._others.get(identity)
        if found is None:
            found = self._made(self._reach_in(variables, request.is_production))
            self._others[identity] = found
            if len(self._others) > _KEPT_MAX:
                self._others.popitem(last=False)
        return found

    def _renew(self) -> None:
        if self._made_for is not self._client.own_reach:
            self._made_for = self._client.own_reach
            self._others.clear()
            self._own = self._made(self._own_reach())

    def _own_reach(self) -> Reach:
        own, keys = self._client.own_reach, self._keys
        settings = own.settings
        agree = keys.signing_key in {None, settings.signing_key}
        agree = agree and keys.signing_key_fallback in {None, settings.signing_key_fallback}
        return own if agree else self._reach_in({}, None)

    def _reach_in(self, variables: Mapping[str, str], is_production: bool | None) -> Reach:
        return self._client.reach_in(
            variables,
            is_production=is_production,
            signing_key=self._keys.signing_key,
            signing_key_fallback=self._keys.signing_key_fallback,
        )

    def _made(self, reach: Reach) -> Setup:
        settings = reach.settings
        if settings.mode == "cloud" and not settings.signing_key:
            raise SigningKeyMissingError(
                "Serving functions in cloud mode needs a signing key: set INNGEST_SIGNING_KEY or"
                " pass signing_key= to the client. For development, set INNGEST_DEV=1."
            )
        headers = common_headers(settings, framework=self._framework, server_kind=settings.mode)
        headers[header.SDK_HANDLED] = "true"
        serve = resolve_serve(self._options, reach.environ, settings.mode)
        return Setup(self._client, reach, serve, headers, Checkpoints())
