"""What graphdown loads cannot run code, take all memory or reach outside its folder."""

import ast
import zipfile
from pathlib import Path

import numpy as np
import pytest

import graphdown
import meshes
from graphdown.config.yaml_files import read_yaml
from graphdown.errors import ExperimentError
from meshes.geometry.archive import read_arrays

SOURCES = sorted(
    p for package in (graphdown, meshes) for p in Path(package.__file__).parent.rglob("*.py")
)
# Libraries that run what they load, or fetch what nobody named.
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
URLS = "remote.py"  # opens the inputs that the user names by URL
NETWORK = {"urllib.request", "http", "requests", "ftplib", "aiohttp", "fsspec", "smtplib"}


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_source_unpickles_runs_or_fetches_anything():
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        network = NETWORK - {"fsspec"} if path.name == URLS else NETWORK
        wrong = {n for n in imported(tree) if n.split(".")[0] in UNSAFE or n in network}
        assert not wrong, path
        check_calls(path, tree)


def check_calls(path, tree):
    for name, options in calls(tree):
        assert name not in ("eval", "exec", "os.system", "pd.read_pickle"), path
        assert "shell" not in options, path
        if name.endswith(("np.load", "np.save", "np.savez", "np.savez_compressed")):
            assert options.get("allow_pickle", "False") == "False", path
        if name == "np.load":
            assert options["allow_pickle"] == "False", path
        if name.startswith("yaml."):
            assert name in ("yaml.safe_load", "yaml.safe_dump"), path


def test_yaml_makes_plain_values_only(tmp_path):
    ran = tmp_path / "ran"
    text = f"name: !!python/object/apply:pathlib.Path.touch [!!python/object:pathlib.Path {ran}]"
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(ExperimentError, match="is not valid YAML"):
        read_yaml(tmp_path / "e.yaml")
    assert not ran.exists()


def forged(path, header, content=b"", stored=zipfile.ZIP_STORED):
    """Write an .npz file of one array with a header of one's own."""
    text = header.encode().ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content
    with zipfile.ZipFile(path, "w", stored) as archive:
        archive.writestr("a.npy", array)


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000,), }", b""),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", b"0000"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", b"0" * 12),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"0" * 8),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (exit(),), }", b"0000"),
        ("", b""),
    ],
)
def test_an_array_whose_header_lies_is_refused(tmp_path, header, content):
    forged(tmp_path / "a.npz", header, content)
    with pytest.raises(ValueError):
        read_arrays(tmp_path / "a.npz")


def test_an_archive_that_unpacks_to_more_than_it_can_is_refused(tmp_path):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (4000,), }"
    forged(tmp_path / "a.npz", header, b"0" * 4000, zipfile.ZIP_DEFLATED)
    assert read_arrays(tmp_path / "a.npz")["a"].shape == (4000,)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    size = (4000 + 128).to_bytes(4, "little")
    where = content.rindex(size)
    content[where : where + 4] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be as large as its entry in the archive says"):
        read_arrays(tmp_path / "a.npz")


def test_whole_archives_are_read(tmp_path):
    arrays = {"a.b": np.arange(6.0).reshape(2, 3), "scalar": np.asarray(3), "none": np.zeros((0,))}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name], value)
