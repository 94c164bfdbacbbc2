"""What a framework adapter is made of: for frameworks that this package has no adapter for.

    handler = ServeHandler(client, [function], framework="my_framework")
    response = await handler.handle(
        ServeRequest(method=..., url=..., headers=..., query=..., body=...)
    )

Or say it as actions, each of which is timed, and named if it fails:

    class MyAdapter(Adapter[MyResponse]):
        def __init__(self, request: MyRequest) -> None: ...
        def method(self) -> str: ...  # and url, headers, body, transform_response

    route = CommHandler(client, [function], framework="my_framework").create(MyAdapter)

`stepwell.testing.contract.adapter` shows whether an adapter keeps the contract.
"""

from stepwell.sdk.serve.adapter import ActionError, Adapter, CommHandler
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.option import MoreOptions
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
    "ActionError",
    "Adapter",
    "CommHandler",
    "MoreOptions",
    "ServeHandler",
    "ServeRequest",
    "ServeResponse",
    "StreamingResponse",
    "StreamingResponseSync",
    "read_headers",
    "read_query",
]
