import subprocess
import sys

import pytest

CODE = """
from graphdown.data.reading.files import open_pieces
from graphdown.errors import DataError
import sys
try:
    list(open_pieces([sys.argv[1]]))
except DataError:
    pass
assert "cfgrib" in sys.modules
half = float.fromhex("0x1p-1022") / 2
assert half > 0, "subnormal numbers are flushed to zero"
"""


def test_reading_grib_keeps_subnormal_numbers(tmp_path):
    pytest.importorskip("cfgrib")
    (tmp_path / "a.grib").write_bytes(b"GRIB" + bytes(60))
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "a.grib")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
