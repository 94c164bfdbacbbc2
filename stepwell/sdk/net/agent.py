"""How the SDK names itself on the wire, and the headers every request and answer of it carries.

The shape `inngest-py:v<version>` is what servers parse; it stays, whatever the product is called.
"""

import importlib.metadata
from urllib.parse import quote

from stepwell.sdk.settings import Settings
from stepwell.wire import header

AUTHOR = "inngest"
LANGUAGE = "py"
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def _version() -> str:
    try:
        return importlib.metadata.version("stepwell")
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0"  # run from a source tree that was never installed


VERSION = _version()
SDK = f"{header.SDK_NAME}:v{VERSION}"
SDK_IN_BODY = f"{LANGUAGE}:v{VERSION}"


def in_header(text: str) -> str:
    """Text as headers can carry it: letters they have no place for are percent-encoded."""
    return text if text.isascii() and text.isprintable() else quote(text, safe=_PRINTABLE)


def common_headers(
    settings: Settings, *, framework: str | None = None, server_kind: str | None = None
) -> dict[str, str]:
    """What every request to the server, and every answer to it, carries. A new dict each time."""
    headers = {
        header.CONTENT_TYPE: header.JSON,
        header.SDK: SDK,
        header.USER_AGENT: SDK,
        header.REQ_VERSION: str(header.REQUEST_VERSION),
    }
    optional = (
        (header.FRAMEWORK, framework),
        (header.PLATFORM, settings.platform),
        (header.ENV, None if settings.env is None else in_header(settings.env)),
        (header.EXPECTED_SERVER_KIND, server_kind),
    )
    headers.update({name: value for name, value in optional if value is not None})
    return headers
