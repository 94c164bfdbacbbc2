"""The FastAPI app of the HTTP peers; `BENCH_SDK` says which SDK it uses."""

import importlib
import os

import fastapi

from bench.collector import look_seldom
from bench.marks import FileMarks
from bench.peers.stepwell_functions import declare

name = "inngest" if os.environ["BENCH_SDK"] == "official" else "stepwell"
sdk = importlib.import_module(name)
client = sdk.Inngest(app_id="bench")
functions = declare(sdk, client, FileMarks(os.environ["BENCH_MARKS"]))
app = fastapi.FastAPI()
importlib.import_module(f"{name}.fast_api").serve(app, client, functions)
look_seldom()
