"""The table of frameworks is what the contract gave, for every framework there is."""

import importlib
from pathlib import Path

import pytest

from stepwell.testing.contract.adapter import AdapterContract
from tests.repo.source import ROOT
from tools.frameworks import BEGIN, END, PAGE, page, results

FOLDER = Path("tests/contract/adapters")
HOW = "run python -m tools.frameworks"


def contracts() -> dict[str, type[AdapterContract]]:
    found: dict[str, type[AdapterContract]] = {}
    for path in sorted((ROOT / FOLDER).glob("test_*.py")):
        module = importlib.import_module(".".join((*FOLDER.parts, path.stem)))
        values = vars(module).items()
        found |= {k: v for k, v in values if isinstance(v, type) and "shown" in vars(v)}
    return found


def test_the_page_is_current() -> None:
    assert page(PAGE.read_text("utf-8"), results()) == PAGE.read_text("utf-8"), HOW


def test_every_framework_is_in_the_results() -> None:
    assert sorted(results()) == sorted(contracts()), HOW


@pytest.mark.parametrize("name", sorted(results()))
def test_every_promise_was_kept(name: str) -> None:
    contract = contracts()[name]
    promises = {test for test in dir(contract) if test.startswith("test_")}
    promises -= {test for test in promises if getattr(contract, test) is None}
    outcomes = results()[name]["outcomes"]
    assert promises - {test.split("[")[0] for test in outcomes} == set(), HOW
    assert {test: told for test, told in outcomes.items() if told != "passed"} == {}


def test_marks_must_be_there() -> None:
    with pytest.raises(SystemExit, match="marks"):
        page("no table", {})
    assert page(f"a\n{BEGIN}old\n{END}b\n", {}).startswith(f"a\n{BEGIN}| Framework")
