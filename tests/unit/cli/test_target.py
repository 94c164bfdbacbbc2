"""What `module:name` can stand for, and what is said where it stands for nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell.cli.target import ServedApp, ServedClient, load, project_files
from stepwell.cli.target_error import TargetError

CLIENT = """
import stepwell
client = stepwell.Inngest(app_id="{name}")

@client.create_function(fn_id="one", trigger=stepwell.TriggerEvent(event="x"))
async def one(ctx: stepwell.Context) -> int:
    return 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before, path = set(sys.modules), list(sys.path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = path


def write(folder: Path, **modules: str) -> None:
    for name, text in modules.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def ids(served: object) -> list[str]:
    assert isinstance(served, ServedClient)
    return sorted(function.id for function in served.functions)


@pytest.mark.parametrize("target", ["t_plain:client", "t_plain", "t_plain.py", "t_plain.py:client"])
def test_a_client_is_served_with_its_functions(folder: Path, target: str) -> None:
    write(folder, t_plain=CLIENT.format(name="plain"))
    assert ids(load(target, folder)) == ["plain-one"]


def test_an_app_whose_name_begins_like_anothers_keeps_its_functions(folder: Path) -> None:
    write(folder, t_shop=CLIENT.format(name="shop"), t_web=CLIENT.format(name="shop-web"))
    assert ids(load("t_web", folder)) == ["shop-web-one"]
    assert ids(load("t_shop", folder)) == ["shop-one"]


def test_functions_of_other_modules_of_the_project_are_found(folder: Path) -> None:
    more = """
import stepwell
from t_many.client import client
from t_many import clienttwo

@client.create_function(fn_id="two", trigger=stepwell.TriggerCron(cron="* * * * *"))
def two(ctx: stepwell.ContextSync) -> int:
    return 2

@clienttwo.other.create_function(fn_id="far", trigger=stepwell.TriggerEvent(event="x"))
def far(ctx: stepwell.ContextSync) -> int:
    return 2

functions = [two]
"""
    other = "import stepwell\nother = stepwell.Inngest(app_id='other')\n"
    write(
        folder,
        t_many____init__="",
        t_many__client=CLIENT.format(name="many"),
        t_many__clienttwo=other,
        t_many__functions=more,
    )
    assert ids(load("t_many.functions:client", folder)) == ["many-one", "many-two"]
    names = {path.name for path in project_files(folder)}
    assert names >= {"client.py", "functions.py"}


def test_an_application_is_run_as_it_is(folder: Path) -> None:
    apps = """
async def asgi(scope, receive, send):
    pass

def wsgi(environ, start_response):
    return []

class Framework:
    async def __call__(self, scope, receive, send):
        pass

framework = Framework()
"""
    write(folder, t_apps=apps)
    for name, is_asgi in (("asgi", True), ("wsgi", False), ("framework", True)):
        found = load(f"t_apps:{name}", folder)
        assert isinstance(found, ServedApp)
        assert found.is_asgi is is_asgi


def test_an_application_goes_before_the_client_it_serves(folder: Path) -> None:
    app = "\nasync def app(scope, receive, send):\n    pass\n"
    write(folder, t_both=CLIENT.format(name="both") + app)
    assert isinstance(load("t_both", folder), ServedApp)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("t_missing:client", "there is no such module below"),
        ("t_missing.py", "there is no such file"),
        ("t_odd:nothing", "there is no 'nothing' in t_odd; it has first, second"),
        ("t_odd:number", "is a int; name a client or an application"),
        ("t_odd:one", "is one function; name its client"),
        ("t_odd", "it holds several; choose one of t_odd:first, t_odd:second"),
        ("t_odd:second", "no function of app 'two' was found"),
        ("t_empty", "it holds neither a client nor an application"),
    ],
)
def test_what_cannot_be_served_is_told(folder: Path, target: str, said: str) -> None:
    odd = CLIENT.format(name="one").replace("client", "first")
    odd += "\nsecond = stepwell.Inngest(app_id='two')\nnumber = 5\n"
    write(folder, t_odd=odd, t_empty="x = 1\n")
    with pytest.raises(TargetError, match=said.replace("(", r"\(")):
        load(target, folder)


def test_a_module_that_cannot_be_imported_says_so_itself(folder: Path) -> None:
    write(folder, t_broken="import no_such_module_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        load("t_broken:client", folder)
