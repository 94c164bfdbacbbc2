"""The module the typing tests use, made anew: `python -m tests.events.generating` writes it."""

import subprocess
import sys
from pathlib import Path
from typing import NotRequired

import pydantic
from typing_extensions import TypedDict

from stepwell import EventSchemas
from stepwell.sdk.events.generator import generate

FOLDER = Path(__file__).parents[1] / "typing/events"


class Address(pydantic.BaseModel):
    street: str
    floor: int | None = None


class Created(pydantic.BaseModel):
    """Somebody signed up."""

    id: str
    name: str
    address: Address | None = None


class Deleted(TypedDict):
    id: str
    why: NotRequired[str]


class Tree(pydantic.BaseModel):
    children: list["Tree"] = []


SCHEMAS = EventSchemas().from_record(
    {
        "user/created": Created,
        "user/deleted": {"data": Deleted, "user": Address},
        "shop/tree": Tree,
        "shop/any": {},
    }
)


def formatted(text: str, name: str) -> str:
    """As the rest of the repository."""
    done = subprocess.run(
        [Path(sys.executable).parent / "ruff", "format", "--stdin-filename", FOLDER / name],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def files() -> dict[Path, str]:
    made = generate({name: one.json_schema() for name, one in SCHEMAS.own.items()})
    return {
        FOLDER / "shop_events.py": formatted(made.module, "shop_events.py"),
        FOLDER / "shop_events.pyi": formatted(made.stub, "shop_events.pyi"),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
