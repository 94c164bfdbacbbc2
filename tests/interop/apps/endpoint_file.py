"""Runs an endpoint file at /api/inngest, as a platform that routes files does.

Run by the tests with: the file's path; PORT and INNGEST_DEV. A file has `app`, or GET, POST, PUT.
"""

import os
import runpy
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

names = runpy.run_path(sys.argv[1])
routes = [
    Route("/api/inngest", names.get(method, names.get("app")), methods=[method])
    for method in ("GET", "POST", "PUT")
]
uvicorn.run(Starlette(routes=routes), port=int(os.environ["PORT"]), log_level="warning")
