"""A wheel, installed into an environment of its own, works in a folder outside of the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "configs", "graphdown", "meshes")
BACKEND = 77  # the setuptools that pyproject.toml asks for
SMALL = [
    "training.steps=2",
    "training.validate_every=2",
    "graph.mesh_level=4",
    "graph.encode_radius_km=400",
    "model.channels=8",
    "model.rounds=1",
    "model.target_channels=8",
    "data.world.years=4",
    "data.world.size=12",
    "periods.train=[1981,1982]",
    "periods.validation=[1983,1983]",
    "periods.test=[1984,1984]",
]
DEMO = [*SMALL, "data.sources=[{name: regular, view: regular}]", "baselines=[bilinear]"]
BLOCKS = "blocks={one: {strategies: [graphdown, bilinear], train: [[A]], apply: [A, D]}}"
STUDY = [*(f"experiment.{change}" for change in SMALL), "draws=5", BLOCKS]

pytestmark = pytest.mark.slow


def pip(*words):
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of what is in the repository, built from a copy: a build leaves files behind."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=skipped)
        else:
            shutil.copy(ROOT / name, copy / name)
    isolated = int(version("setuptools").partition(".")[0]) < BACKEND
    words = [] if isolated else ["--no-build-isolation"]
    pip("wheel", "--no-deps", *words, "--wheel-dir", str(copy / "dist"), str(copy))
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Folder with the commands of a new environment: the wheel, and these tests' libraries.

    The libraries' folder is a plain entry of the path, so that its own .pth files, among them that
    of an editable graphdown, are not read.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-compile", str(wheel))
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin"


@pytest.fixture(scope="module")
def call(installed, tmp_path_factory):
    """Run a command of the environment in a folder of its own, empty at first."""
    folder = tmp_path_factory.mktemp("elsewhere")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = kept | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "GRAPHDOWN_CACHE": "cache"}

    def run(name, *words):
        done = subprocess.run(
            [str(installed / name), *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


def test_the_wheel_holds_the_code_that_runs(call, installed):
    where = call("python", "-c", "import graphdown, meshes; print(graphdown.__path__[0])")
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert call("graphdown", "--version") == f"graphdown {version('graphdown')}\n"


def test_every_data_file_of_the_packages_is_in_the_wheel(installed):
    (site,) = (installed.parent / "lib").glob("python*/site-packages")
    for package in ("graphdown", "meshes"):
        files = (p for p in (ROOT / package).rglob("*") if p.is_file())
        files = [p.relative_to(ROOT) for p in files if "__pycache__" not in p.parts]
        files += [Path("graphdown/config/files") / p.name for p in (ROOT / "configs").iterdir()]
        assert [p for p in files if not (site / p).is_file()] == []


def test_the_quick_demo_gives_a_picture_and_a_page_in_a_minute(call):
    start = time.monotonic()
    output = call("graphdown", "demo", "--quick")
    assert time.monotonic() - start < 60
    assert "graphdown-demo/index.html" in output
    code = (
        "from pathlib import Path; from PIL import Image; import xarray as xr;"
        "folder = Path('graphdown-demo'); assert Image.open(folder / 'demo.png').width > 1000;"
        "assert 'data:image/png;base64' in (folder / 'index.html').read_text();"
        "assert xr.open_dataset(folder / 'fine.nc').tas.sizes['time'] == 31"
    )
    call("python", "-c", code)
    scores = next(line for line in output.splitlines() if line.startswith("RMSE"))
    numbers = [float(n) for n in re.findall(r"(\d+\.\d+)", scores)]
    assert numbers[0] < 0.5 * numbers[1] and numbers[2] < 0.75 * numbers[3]


def test_the_commands_work_in_an_empty_folder(call):
    output = call("graphdown", "demo", "--set", *DEMO)
    assert "The report: runs/demo/report/index.html" in output
    source = "runs/demo/inputs/shifted.nc"
    assert source in output
    assert "shifted.nc" in call("graphdown", "check", source)
    call("graphdown", "downscale", "runs/demo", source, "-o", "fine.nc")
    call("python", "-c", "import xarray as xr; assert xr.open_dataset('fine.nc').tas.size")


def test_a_study_of_the_wheel_works_by_its_name(call):
    output = call("graphdown", "transfer", "transfer_ensemble", "--quick", "--set", *STUDY)
    assert "transfer_ensemble: there is no such file here" in output
    assert "The page: runs/transfer_ensemble-quick/report/index.html" in output
    code = "import graphdown; graphdown.transfer('configs/transfer_ensemble.yaml', quick=True, "
    call("python", "-c", f"{code}overrides={STUDY!r})")  # all of its runs are done
