"""Where the command begins, also where only the SDK is installed."""

import sys

from stepwell.sdk.extra import Extra


def main() -> None:
    """The command line, or a sentence about what it needs."""
    try:
        with Extra("server", "the command stepwell"):
            from stepwell.cli.main import main as verbs  # noqa: PLC0415 - click may be missing
    except ModuleNotFoundError as error:
        sys.exit(str(error))
    verbs(prog_name="stepwell")
