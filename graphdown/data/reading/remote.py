"""Inputs by URL, through fsspec: zarr stores are read in place, other files from a copy.

netCDF-C and eccodes read files of the system only, so a copy of each file lies in the system's
temporary folder until the process ends.
"""

import atexit
import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

from graphdown.data.reading.rules import refuse
from graphdown.errors import GraphdownError

EXTRAS = {"http": "https", "https": "https", "s3": "s3", "gs": "gs", "gcs": "gs"}
ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
LOOKS_AT_A_TIME = 16
CHANGES = ("etag", "ETag", "mtime", "LastModified", "updated", "created")  # keys of fsspec's info


def is_url(path: str) -> bool:
    """Whether a path is a URL, such as "https://..." or "s3://..."."""
    return "://" in path


def urls_matching(pattern: str) -> list[str]:
    """URLs that a URL or glob matches, in order.

    Raises:
        DataError: the place cannot be read.
        GraphdownError: a package for its protocol is absent.
    """
    with explained(pattern):
        fs, path = opened_place(pattern)
        if not any(sign in path for sign in "*?["):
            return [pattern] if fs.exists(path) else []
        return [fs.unstrip_protocol(found) for found in sorted(fs.glob(path))]


def is_store(url: str) -> bool:
    """Whether there is a zarr store at a URL."""
    with explained(url):
        fs, path = opened_place(url)
        return any(fs.exists(f"{path.rstrip('/')}/{mark}") for mark in ZARR_MARKS)


def copied(url: str) -> str:
    """Path of a copy of the file at a URL, one for each process.

    Raises:
        DataError: it cannot be read.
    """
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    path = os.path.join(_folder(), f"{name}-{os.path.basename(url.split('?')[0])}")
    if not os.path.exists(path):
        with explained(url):
            fs, there = opened_place(url)
            fs.get_file(there, f"{path}.part")
            os.replace(f"{path}.part", path)
    return path


def zarr_store(path: str) -> Any:
    """A zarr store as zarr takes it: the path of a folder, or a store of fsspec at a URL."""
    if not is_url(path):
        return path
    import zarr

    with explained(path):
        return zarr.storage.FsspecStore.from_url(path, read_only=True)


def files_below(folder: str, keys: list[str]) -> dict[str, int]:
    """Those of some files below a folder at a URL that are there, and their sizes in bytes."""
    with explained(folder):
        fs, path = opened_place(folder)
        start = path.rstrip("/") + "/"
        try:
            found = fs.find(path, detail=True)
        except (FileNotFoundError, NotImplementedError):
            found = {}
        sizes = {n.removeprefix(start): int(i.get("size") or 0) for n, i in found.items()}
        if any(key in sizes for key in keys):
            return sizes
        with ThreadPoolExecutor(LOOKS_AT_A_TIME) as pool:  # a server that lists no folders
            there = pool.map(lambda key: fs.exists(start + key), keys)
            return {key: 1 for key, is_there in zip(keys, there, strict=True) if is_there}


def seen(url: str) -> tuple[int, str]:
    """Size in bytes of what is at a URL, and whatever tells when it changed."""
    with explained(url):
        fs, path = opened_place(url)
        info = fs.info(path)
        found = [info] if info.get("type") == "file" else fs.find(path, detail=True).values()
        changed = sorted(str(i[key]) for i in found for key in CHANGES if i.get(key))
        return sum(int(i.get("size") or 0) for i in found), "".join(changed[-1:])


def opened_place(url: str) -> tuple[Any, str]:
    """File system of a URL, and the path in it.

    Raises:
        GraphdownError: a package for its protocol is absent, or fsspec knows no such protocol.
    """
    import fsspec

    protocol = url.split("://", 1)[0]
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError:
        extra = EXTRAS.get(protocol)
        cure = f"pip install 'graphdown[{extra}]'" if extra else f"fsspec's package for {protocol}"
        raise GraphdownError(
            f"{url}: reading from {protocol}:// needs another package; install it with: {cure}"
        ) from None
    except ValueError as error:
        raise GraphdownError(f"{url}: {error}; give a path, or another URL.") from None
    return fs, str(path)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what file systems and networks raise into one sentence.

    Raises:
        DataError: the place cannot be read.
    """
    try:
        yield
    except GraphdownError:
        raise
    except Exception as error:  # libraries of each protocol have errors of their own
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise refuse(
            "unreadable",
            f"{url}: it cannot be read ({reason}); check the address, the network and your "
            "permission.",
        ) from None


@cache
def _folder() -> str:
    folder = tempfile.TemporaryDirectory(prefix="graphdown-")
    atexit.register(folder.cleanup)
    return folder.name
