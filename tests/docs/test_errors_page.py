"""The page of errors covers every code and every class, and tells of retries what is true."""

import ast
import re
from pathlib import Path

import pytest

import stepwell.encryption  # its error is on the page, too
from stepwell.sdk import errors
from stepwell.server.drivers.reply import FATAL_NAME
from stepwell.server.engine.life.bounds import OUTPUT_TOO_LARGE
from stepwell.wire import failure

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
SECTIONS = dict(re.findall(r"^## (\S+)\n\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def classes(root: type) -> list[type]:
    """A class and all that derive from it, in the package."""
    below = [found for kind in root.__subclasses__() for found in classes(kind)]
    own = [root] if root.__module__.startswith("stepwell.") else []
    return list(dict.fromkeys([*own, *below]))


PUBLIC = [kind for kind in vars(errors).values() if isinstance(kind, type)]
ERRORS = [
    *(kind for kind in PUBLIC if issubclass(kind, errors.Error)),
    stepwell.encryption.DecryptionError,
]
NAMES = {kind.__name__ for kind in ERRORS} | {"WorkerError", "EngineError"}
WARNINGS = classes(errors.InngestWarning)


def test_every_code_has_a_section_and_every_section_a_code() -> None:
    codes = {code.value for code in errors.ErrorCode} | {kind.code for kind in WARNINGS}
    assert set(SECTIONS) == codes


@pytest.mark.parametrize(
    "kind",
    [k for k in ERRORS if k not in (errors.Error, errors.CodedError)],
    ids=lambda k: k.__name__,
)
def test_every_error_is_in_the_section_of_its_code(kind: type[errors.Error]) -> None:
    assert f"`{kind.__name__}`" in SECTIONS[kind.code.value]


def test_every_other_error_of_the_package_is_on_the_page() -> None:
    told = {
        kind.name
        for path in sorted((ROOT / "stepwell").rglob("*.py"))
        for kind in ast.walk(ast.parse(path.read_text()))
        if isinstance(kind, ast.ClassDef)
        and any(ast.unparse(base).rsplit(".")[-1] in NAMES for base in kind.bases)
    } - {"CodedError"}
    assert {name for name in told if not name.startswith("_") and f"`{name}`" not in PAGE} == set()


def test_every_name_a_server_gives_is_on_the_page() -> None:
    given = {failure.STEPS_OVERFLOWED, failure.STATE_OVERFLOWED, failure.TIMEOUT_TOO_LONG}
    given |= {failure.INVOKE_TIMEOUT, failure.INVALID_EXPRESSION, failure.FUNCTION_NOT_FOUND}
    given |= {failure.GATEWAY_ERROR, failure.AI_GATEWAY_ERROR, OUTPUT_TOO_LARGE, FATAL_NAME}
    for path in (ROOT / "stepwell/server").rglob("*.py"):
        given |= set(re.findall(r'Failure\(\s*(?:name=)?"([^"]+)"', path.read_text()))
    table = PAGE[PAGE.index("# Names a server gives") : PAGE.index("# Warnings")]
    told = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|[^|]*", table, re.MULTILINE))))
    assert told == given - {"Error"}


@pytest.mark.parametrize("kind", WARNINGS, ids=lambda k: k.__name__)
def test_every_warning_is_in_the_section_of_its_code(kind: type[errors.InngestWarning]) -> None:
    assert f"`{kind.__name__}`" in SECTIONS[kind.code]


@pytest.mark.parametrize("code", [code for code in errors.ErrorCode if code.value != "unknown"])
def test_the_page_says_truly_what_is_tried_again(code: errors.ErrorCode) -> None:
    own = next(kind for kind in ERRORS if kind.__dict__.get("code") is code)
    says = "ot tried again" not in SECTIONS[code.value]
    assert says == own.is_retriable
