"""Generates `stepwell/wire/connect_pb2.py` and its stub from `connect.proto`.

The gate that ties generated code to one runtime version is left out: the builder it calls is the
same in every supported protobuf runtime, and users should not be bound to the version we generate
with. Run `python -m tools.connect_proto`; a test compares the result with the files kept.
"""

import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "stepwell/wire/connect.proto"
GENERATED = ("stepwell/wire/connect_pb2.py", "stepwell/wire/connect_pb2.pyi")

_GATE = re.compile(
    r"^from google\.protobuf import runtime_version as _runtime_version\n"
    r"|^_runtime_version\.ValidateProtobufRuntimeVersion\([^)]*\)\n"
    r"|^# Protobuf Python Version: .*\n",
    re.MULTILINE,
)


def generate() -> dict[str, str]:
    """The generated files by their path in the repository; fails loudly if the source is wrong."""
    well_known = str(resources.files("grpc_tools") / "_proto")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["protoc", f"-I{ROOT}", f"-I{well_known}"]
        arguments += [f"--python_out={folder}", f"--pyi_out={folder}", SOURCE]
        if protoc.main(arguments) != 0:
            raise SystemExit(f"protoc refused {SOURCE}")
        return {name: _GATE.sub("", (Path(folder) / name).read_text("utf-8")) for name in GENERATED}


def main() -> int:
    """Writes the files that changed and says which."""
    for name, text in generate().items():
        path = ROOT / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print("wrote", name)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
