import functools
import os
import shlex
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from graphdown.__main__ import _report
from graphdown.cli import COMMANDS, DEMO, main
from graphdown.config.experiment_file import load_experiment
from graphdown.config.packaged import find_config
from meshes import load_graph


def example(command):
    lines = COMMANDS[command].__doc__.splitlines()
    return next(x.split("Example: ")[1] for x in lines if "Example: " in x)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_that_parses(command, capsys, monkeypatch):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert example(command) in capsys.readouterr().out
    prog, name, *words = shlex.split(example(command))
    assert (prog, name) == ("graphdown", command)
    given = {}

    @functools.wraps(COMMANDS[command])
    def record(*args, **kwargs):
        given.update(kwargs, args=args)

    monkeypatch.setitem(COMMANDS, command, record)
    main([command, *words])
    if "file_options" in given or hasattr(given.get("request"), "file_options"):
        main([command, *words, "--units", "tas=degC", "pr=kg m-2 s-1", "--select", "member=2"])
        options = given.get("file_options") or given["request"].file_options
        request = options.request()
        assert request.units == {"tas": "degC", "pr": "kg m-2 s-1"}
        assert request.select == {"member": 2} and request.daily is None


def test_the_help_fits_a_screen(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in COMMANDS)


def test_without_a_command_the_help_is_an_error(capsys):
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
    assert "usage: graphdown COMMAND" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"graphdown {version('graphdown')}\n"


def test_windows_is_refused_in_one_sentence():
    code = "import sys; sys.platform = 'win32'; from graphdown.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "graphdown: Windows is not supported; use Linux, macOS or WSL.\n"


@pytest.mark.parametrize("name", ["demo", "demo.yaml", "configs/demo.yaml"])
def test_an_installed_experiment_is_found_by_its_name(name, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO", "graphdown"):
        assert load_experiment(name).name == load_experiment(DEMO).name
    assert [r.getMessage() for r in caplog.records] == [
        f"{name}: there is no such file here, so the one installed with graphdown is used"
    ]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.yaml").write_text("name: mine\n", encoding="utf-8")
    assert find_config("configs/demo.yaml") == Path("configs/demo.yaml")
    assert find_config("elsewhere/demo.yaml") == Path("elsewhere/demo.yaml")
    assert find_config("demo.nc") == Path("demo.nc")


def test_graph_is_saved_and_drawn(tmp_path, capsys):
    before = plt.get_fignums()
    out, plot = tmp_path / "g.npz", tmp_path / "graph.png"
    main(["graph", "T63", "EUR-44", "--mesh-level", "5", "--plot", str(plot), "-o", str(out)])
    assert plt.get_fignums() == before
    assert plt.imread(plot).shape[0] > 500
    graph = load_graph(out)
    assert graph.target.size == 106 * 103
    np.testing.assert_array_equal(graph.encode.senders >= 0, True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["trian", "demo"], "There is no command 'trian'; did you mean 'train'?"),
        (["xyz"], "There is no command 'xyz'; graphdown --help lists the commands."),
        (["train", "none.yaml"], "'none.yaml' does not exist"),
        (["transfer", "none.yaml"], "'none.yaml' does not exist"),
        (["evaluate", "none"], "'none' holds no emulator"),
        (["downscale", "none", "a.nc", "-o", "a.txt"], "must end in .nc or .zarr"),
        (["downscale", "none", "-o", "a.nc"], "No input is given"),
        (["graph", "T63", "nowhere"], "nowhere"),
        (["graph", "T63", "EUR-44", "-o", "none/g.npz"], "make it first"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_with_status_2(
    arguments, part, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert part in said and "Traceback" not in said and said.count("\n") == 1


def test_an_output_nobody_reads_ends_the_command_without_a_traceback():
    unread, written = os.pipe()
    os.close(unread)
    with os.fdopen(written, "w") as output:
        command = [sys.executable, "-m", "graphdown", "--help"]
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_threads_that_outlive_a_failed_write_say_nothing(capsys):
    _report(RuntimeError, RuntimeError("Event loop is closed"), None)
    assert capsys.readouterr().err == ""
    _report(RuntimeError, RuntimeError("anything else"), None)
    assert "RuntimeError: anything else" in capsys.readouterr().err
