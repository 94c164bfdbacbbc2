"""The official SDK's place for `SentryMiddleware`; ours is `stepwell.sentry`. Source: C.11."""

from stepwell.sentry import SentryMiddleware

__all__ = ["SentryMiddleware"]
