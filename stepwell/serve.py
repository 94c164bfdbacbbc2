"""What a framework adapter is made of: for frameworks this package has no door to.

    handler = ServeHandler(client, [function], framework="my_framework")
    response = await handler.handle(
        ServeRequest(method=..., url=..., headers=..., query=..., body=...)
    )

`stepwell.testing.adapter_contract` shows whether an adapter keeps the contract. Source: F-3.
"""

from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import (
    SERVE_PATH_DEFAULT,
    ServeRequest,
    read_headers,
    read_query,
)
from stepwell.sdk.serve.response import (
    ServeResponse,
    StreamingResponse,
    StreamingResponseSync,
)

__all__ = [
    "SERVE_PATH_DEFAULT",
    "ServeHandler",
    "ServeRequest",
    "ServeResponse",
    "StreamingResponse",
    "StreamingResponseSync",
    "read_headers",
    "read_query",
]
