"""The official SDK's place for `SentryMiddleware`; ours is `stepwell.sentry`."""

from stepwell.sentry import SentryMiddleware

__all__ = ["SentryMiddleware"]
