"""The worker's side of the worker connection: rules in `protocol.py`, input and output
around it.

Where there are no sockets, as in a browser, there is no such connection; serve over HTTP there.
"""

import sys

WITHOUT_SOCKETS = frozenset({"emscripten", "wasi"})

if sys.platform in WITHOUT_SOCKETS:
    raise ImportError(
        f"WebSockets not supported in current environment ({sys.platform}): a worker needs sockets"
        " and threads; serve the functions over HTTP instead"
    )
