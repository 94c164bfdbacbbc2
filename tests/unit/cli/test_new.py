"""What `stepwell new` writes: projects that pass their own test.

Both type checkers see them, too, in `tests/typing`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepwell.cli.verbs.new import TEMPLATES, new, project

OF_THEIR_OWN = {
    "worker": set[str](),
    "embedded": {"main.py"},
    "fastapi": {"app.py"},
    "flask": {"app.py"},
    "django": {"manage.py", "settings.py", "urls.py"},
}
COMMON = {".gitignore", "README.md", "functions.py", "requirements.txt", "test_functions.py"}
ROOT = Path(__file__).resolve().parents[3]


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(new, arguments)


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_a_function_its_test_and_how_to_run_them(template: str) -> None:
    made = project("my-shop", template)
    assert set(made) == COMMON | OF_THEIR_OWN[template]
    assert 'app_id="my-shop"' in made["functions.py"]
    assert "$app" not in "".join(made.values()) and "$run" not in "".join(made.values())
    page = made["README.md"]
    assert page.startswith("# my-shop\n") and "## Run it\n\n" in page and "$ pytest" in page
    assert "stepwell" in made["requirements.txt"]
    for name in OF_THEIR_OWN[template] - {"settings.py", "urls.py"}:
        assert name.removesuffix(".py") in page, f"{name} is in no command"


@pytest.mark.parametrize("template", sorted(set(TEMPLATES) - {"embedded"}))
def test_in_production_a_project_is_told_its_server(template: str) -> None:
    told = project("my-shop", template)["README.md"].partition("In production")[2]
    for name in ("INNGEST_BASE_URL", "INNGEST_SIGNING_KEY", "INNGEST_EVENT_KEY"):
        assert f"{name}`" in told or f"{name}=" in told


def test_a_project_passes_its_own_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = asked("my-shop")
    assert told.exit_code == 0, told.output
    assert told.output == "my-shop is ready: its README.md says how to run it\n"
    assert "2 passed" in run(tmp_path / "my-shop", "-m", "pytest", "-q")


ASKING = {
    "fastapi": "from starlette.testclient import TestClient; client = TestClient(app.app)",
    "flask": "client = app.app.test_client()",
    "django": "from django.test import Client; client = Client(headers={'host': 'localhost'})",
}
BEGIN = "import os; os.environ['INNGEST_DEV'] = '1'"
IMPORTED = {"django": "import manage, django; django.setup()"}
END = "print(client.get('/api/inngest').status_code)"


@pytest.mark.parametrize("template", ASKING)
def test_an_application_serves_its_functions(template: str, tmp_path: Path) -> None:
    for name, text in project("shop", template).items():
        (tmp_path / name).write_text(text)
    imported = IMPORTED.get(template, "import app")
    assert run(tmp_path, "-c", "; ".join([BEGIN, imported, ASKING[template], END])) == "200\n"


def test_a_program_with_the_engine_inside_places_its_order(tmp_path: Path) -> None:
    for name, text in project("shop", "embedded").items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "main.py"]
    more = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=more, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        told = program.stdout.readline()
        program.terminate()
    assert told.startswith(b"order 7 is placed")
    assert (tmp_path / "engine.db").is_file()


@pytest.mark.parametrize("name", ["Shop", "my shop", "../shop", "my--shop", "-x-", "7up", ""])
def test_a_name_that_no_app_can_have(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = asked("--", name)
    assert told.exit_code == 2
    assert f"{name!r}: use small letters, digits and single hyphens" in told.output
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    assert asked("shop", "--template", "embedded").exit_code == 0
    before = (tmp_path / "shop" / "main.py").read_text()
    told = asked("shop")
    assert told.exit_code == 1
    assert "shop is there already" in told.output
    assert (tmp_path / "shop" / "main.py").read_text() == before
