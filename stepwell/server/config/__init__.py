"""How a server is set: the list of settings, and the one place that decides their values."""

from stepwell.server.config.node_config import (
    DATABASE_NAME,
    SDK_VARIABLES,
    ConfigError,
    Postgres,
    ServerConfig,
    Shown,
    Surroundings,
    fingerprint,
    server_config,
)
from stepwell.server.config.setting import Command, Kind, Setting, settings_of

__all__ = [
    "DATABASE_NAME",
    "SDK_VARIABLES",
    "Command",
    "ConfigError",
    "Kind",
    "Postgres",
    "ServerConfig",
    "Setting",
    "Shown",
    "Surroundings",
    "fingerprint",
    "server_config",
    "settings_of",
]
