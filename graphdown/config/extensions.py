"""Extensions: modules of the user's own, with further losses, heads, baselines and so on.

An experiment lists them under `extensions`. An importable module is named as in `import`, a file by
its path, which ends in .py. A relative path starts at the experiment file's folder or, where there
is no such file, at the working directory. An `Experiment` holds the path from the working directory
if the file lies below it, else the absolute path. So the experiment in a run's folder refers to its
extensions as it refers to its data, and the run resumes with the command that started it.

A run's folder and an emulator name the extensions that they need and hold none of their code; code
in their folder is never run.
"""

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from zlib import crc32

from graphdown.errors import ExperimentError, GraphdownError

_loaded: dict[str, None] = {}  # keys of the extensions that were imported, in that order


def load_extensions(names: Sequence[str], where: str = "extensions") -> None:
    """Import extensions that were not imported before.

    Args:
        names: of importable modules, or paths of .py files from the working directory.
        where: what names them, in messages.

    Raises:
        ExperimentError: there is no such extension, or it fails; the message names its file and
            line.
    """
    for name in names:
        if _is_file(name):
            _load_file(Path(name), f"{where}: the extension {name!r}")
        else:
            _load_module(name, f"{where}: the extension {name!r}")
        _loaded[extension_key(name)] = None


def extension_key(name: str) -> str:
    """Name of an extension on any machine: that of a module, or of a file without its folder."""
    return Path(name).name if _is_file(name) else name


def loaded_extensions() -> tuple[str, ...]:
    """Keys of the extensions that this process has imported, in that order."""
    return tuple(_loaded)


def require_extensions(keys: Iterable[str], what: str) -> None:
    """Refuse to work with something that needs extensions which are not imported.

    Args:
        keys: of the extensions, see `extension_key`.
        what: what needs them, as the beginning of a sentence.

    Raises:
        GraphdownError: one was not imported; the message names it.
    """
    for key in keys:
        if key not in _loaded:
            raise GraphdownError(
                f"{what} needs the extension {key!r}, which is not loaded; name it in the "
                "'extensions' of an experiment, or load it with "
                "graphdown.config.extensions.load_extensions."
            )


def extensions_beside(names: Iterable[str], folder: Path) -> list[str]:
    """Names of extensions as seen from the working directory.

    Args:
        names: as an experiment file has them.
        folder: the file's folder.
    """
    return [_seen_from_here(name, folder) if _is_file(name) else name for name in names]


def refuse_inside(names: Iterable[str], folder: Path, where: str) -> None:
    """Refuse extensions whose files lie in the folder of a run.

    Raises:
        ExperimentError: one does.
    """
    for name in filter(_is_file, names):
        if Path(name).resolve().is_relative_to(folder.resolve()):
            raise ExperimentError(
                f"{where}: the extension {name!r} lies in the run's own folder, from which no code "
                "is run; keep it elsewhere."
            )


def _is_file(name: str) -> bool:
    return name.endswith(".py")


def _seen_from_here(name: str, folder: Path) -> str:
    beside, here = folder / name, Path.cwd()
    path = Path(os.path.abspath(beside if beside.is_file() else name))
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _load_file(path: Path, what: str) -> None:
    name = _module_name(path)
    if name in sys.modules:
        return
    if not path.is_file():
        raise ExperimentError(f"{what} does not exist; check the path.")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failure(what, error) from error


def _module_name(path: Path) -> str:
    """Name that the module of a file always has, so that it is imported once."""
    stem = re.sub(r"\W", "_", path.stem)
    return f"graphdown_extension_{stem}_{crc32(str(path.resolve()).encode()):08x}"


def _load_module(name: str, what: str) -> None:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ExperimentError(
            f"{what} is neither a module nor a .py file; write a name as after 'import', or a path "
            "that ends in .py."
        )
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise _failure(what, error) from error
        raise ExperimentError(
            f"{what} is not installed; install the package that has it, or write the path of its "
            ".py file."
        ) from None
    except Exception as error:
        raise _failure(what, error) from error


def _failure(what: str, error: Exception) -> ExperimentError:
    file, line = _place(error)
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    return ExperimentError(f"{what} fails in {file}, line {line}: {text}; correct it there.")


def _place(error: Exception) -> tuple[str, int]:
    """File and line of an extension where an error arose."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 1
    importers = (__file__, importlib.__file__)
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if f.filename not in importers and f.filename[0] != "<"] or frames
    last = [f for f in outside if f.filename == outside[0].filename][-1]
    return last.filename, last.lineno or 1
