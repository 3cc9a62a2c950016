import os
import sys
from pathlib import Path

import pytest
import yaml

from graphdown.config import extensions
from graphdown.config.experiment_file import (
    experiment_to_dict,
    load_experiment,
    load_stored_experiment,
    parse_experiment,
    write_experiment,
)
from graphdown.config.extensions import (
    entries,
    load_extensions,
    provided_entries,
)
from graphdown.errors import ExperimentError
from graphdown.model.transforms import TRANSFORMS
from graphdown.transfer.spec import load_study

from .test_experiment import GOOD

COUNT = "import builtins\nbuiltins.imports = getattr(builtins, 'imports', 0) + 1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the experiments' one below; what is imported is forgotten."""
    import builtins

    monkeypatch.setattr(builtins, "imports", 0, raising=False)
    monkeypatch.setattr(extensions, "_loaded", {})
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    modules = set(sys.modules)
    work = tmp_path / "work"
    (work / "configs").mkdir(parents=True)
    monkeypatch.chdir(work)
    yield work
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def count():
    import builtins

    return builtins.imports


def write(path, text=COUNT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def experiment_file(folder, *names):
    raw = {**GOOD, "extensions": list(names)}
    return write(folder / "configs" / "e.yaml", yaml.safe_dump(raw))


def test_a_file_beside_the_experiment_is_imported_once(folder):
    write(folder / "configs" / "mine.py")
    path = experiment_file(folder, "mine.py")
    experiment = load_experiment(path)
    assert experiment.extensions == ("configs/mine.py",)
    assert tuple(provided_entries()) == ("mine.py",)
    load_experiment(path.relative_to(folder))
    parse_experiment(experiment_to_dict(experiment), "again")
    assert count() == 1


def test_a_file_is_looked_for_in_the_working_directory_next(folder):
    write(folder / "here.py")
    assert load_experiment(experiment_file(folder, "here.py")).extensions == ("here.py",)
    assert load_experiment(folder / "configs" / "e.yaml", ["extensions=[]"]).extensions == ()
    assert count() == 1


def test_a_file_outside_the_working_directory_has_its_whole_path(folder, monkeypatch):
    elsewhere = write(folder.parent / "shared" / "mine.py")
    names = ("../../shared/mine.py", "${SHARED}/mine.py")
    monkeypatch.setenv("SHARED", str(folder.parent / "shared"))
    for name in names:
        assert load_experiment(experiment_file(folder, name)).extensions == (str(elsewhere),)
    assert count() == 1


def test_a_module_is_imported_by_its_name(folder):
    write(folder.parent / "installed" / "downscaling_extras" / "__init__.py", "")
    write(folder.parent / "installed" / "downscaling_extras" / "losses.py")
    experiment = load_experiment(experiment_file(folder, "downscaling_extras.losses"))
    assert experiment.extensions == tuple(provided_entries()) == ("downscaling_extras.losses",)
    assert count() == 1


def test_a_stored_experiment_finds_its_extensions_again(folder):
    write(folder / "configs" / "mine.py")
    experiment = load_experiment(experiment_file(folder, "mine.py"))
    stored = folder / "runs" / "small" / "experiment.yaml"
    stored.parent.mkdir(parents=True)
    write_experiment(experiment, stored)
    assert load_stored_experiment(stored) == experiment
    # As the experiment of a new run, too.
    assert load_experiment(stored) == experiment
    assert count() == 1


@pytest.mark.parametrize("name", ["runs/small/mine.py", "./runs/../runs/small/sub/mine.py"])
def test_code_in_the_folder_of_a_run_is_not_run(folder, name):
    write(folder / name)
    raw = yaml.safe_dump({**GOOD, "extensions": [name]})
    stored = write(folder / "runs" / "small" / "experiment.yaml", raw)
    with pytest.raises(ExperimentError, match="lies in the run's own folder"):
        load_stored_experiment(stored)
    write(folder / "runs" / "small" / "other.py")
    stored.write_text(yaml.safe_dump({**GOOD, "extensions": ["other.py"]}), encoding="utf-8")
    with pytest.raises(ExperimentError, match="'other.py' does not exist"):
        load_stored_experiment(stored)
    assert count() == 0


WRONG = {
    "no file": (["none.py"], "the extension 'configs/none.py' does not exist; check the path"),
    "no module": (["nowhere.at.all"], "the extension 'nowhere.at.all' is not installed"),
    "no name": (["my-loss"], "the extension 'my-loss' is neither a module nor a .py file"),
    "one name": ("mine.py", "'extensions' is 'mine.py', but it must be a valid tuple"),
    "numbers": ([3], "'extensions.0' is 3"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_absent_extension_is_one_sentence(case, folder):
    names, part = WRONG[case]
    path = write(folder / "configs" / "e.yaml", yaml.safe_dump({**GOOD, "extensions": names}))
    with pytest.raises(ExperimentError) as caught:
        load_experiment(path)
    text = str(caught.value)
    assert part.replace("configs/", "") in text.replace("configs/", "")
    assert "\n" not in text and text.endswith(".")


BROKEN = {
    "at import": ("import math\n\nmath.nothing\n", 3, "AttributeError: "),
    "within a function": ("def f():\n    1 / 0\n\n\nf()\n", 2, "ZeroDivisionError: division"),
    "in a library": ("import json\n\njson.loads('')\n", 3, "JSONDecodeError: "),
    "no Python": ("a = (\n", 1, "SyntaxError: "),
    "its own import": ("\nimport nowhere_at_all\n", 2, "ModuleNotFoundError: No module named"),
}


@pytest.mark.parametrize("kind", ["file", "module"])
@pytest.mark.parametrize("case", BROKEN)
def test_an_error_within_an_extension_is_told_with_file_and_line(case, kind, folder):
    code, line, part = BROKEN[case]
    if kind == "file":
        path, name = write(folder / "broken.py", code), "broken.py"
    else:
        path = write(folder.parent / "installed" / "broken_extension.py", code)
        name = "broken_extension"
    for _ in range(2):
        with pytest.raises(ExperimentError) as caught:
            load_extensions([name], "e.yaml")
        text = str(caught.value)
        assert f"e.yaml: the extension {name!r} fails in " in text
        assert f"{path.name}, line {line}: {part}" in text
        assert "\n" not in text and text.endswith("; correct it there.")
    assert tuple(provided_entries()) == ()


def test_it_is_known_what_an_extension_registered(folder, monkeypatch):
    monkeypatch.setattr(TRANSFORMS, "_items", dict(TRANSFORMS._items))
    code = "from graphdown import register_transform\n"
    write(folder / "mine.py", code + "register_transform('half', lambda y: 2 * y)(lambda x: x / 2)")
    for _ in range(2):
        load_extensions(["mine.py"])
        assert provided_entries() == {"mine.py": {("transform", "half")}}
        assert ("transform", "half") in entries()


def test_a_studys_extensions_are_found_beside_its_file(folder):
    for name in ("mine.py", "own.py"):
        write(folder / "configs" / name)
    experiment = {k: v for k, v in GOOD.items() if k not in ("name", "output")}
    study = {
        "name": "tiny",
        "output": "runs/none",
        "experiment": {**experiment, "extensions": ["mine.py"]},
        "strategies": {"network": {}, "other": {"set": {"extensions": ["own.py"]}}},
        "blocks": {"all": {"strategies": ["network"], "train": [["a"]], "apply": ["a"]}},
    }
    path = write(folder / "configs" / "study.yaml", yaml.safe_dump(study))
    loaded = load_study(path)
    found = [loaded.experiment_of(name).extensions for name in ("network", "other")]
    assert found == [("configs/mine.py",), ("configs/own.py",)]
    assert count() == 2


def test_a_file_has_one_module_name_from_anywhere(folder, monkeypatch):
    write(folder / "mine.py")
    load_extensions(["mine.py"])
    monkeypatch.chdir(folder / "configs")
    load_extensions([f"..{os.sep}mine.py", str(Path(folder, "mine.py"))])
    assert count() == 1
