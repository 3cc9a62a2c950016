import pytest

from graphdown.errors import ExperimentError
from graphdown.training.run.input_checksums import FILE, check_inputs

SEEN = {"the target": "0f0f0f0f", "the source 'a'": "12345678"}


def test_the_note_of_the_fields_is_written_once_and_compared(tmp_path):
    check_inputs(tmp_path, SEEN)
    written = (tmp_path / FILE).read_bytes()
    check_inputs(tmp_path, SEEN)
    with pytest.raises(ExperimentError, match="values of the source 'a' are not those"):
        check_inputs(tmp_path, {**SEEN, "the source 'a'": "12345679"})
    assert (tmp_path / FILE).read_bytes() == written


def test_a_damaged_note_is_not_taken_for_other_fields(tmp_path):
    path = tmp_path / FILE
    check_inputs(tmp_path, SEEN)
    whole = path.read_text(encoding="utf-8")
    for damaged in (whole.replace("12345678", "12345679"), whole[:20], "", "[]"):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(ExperimentError, match="began with, is damaged; put it back"):
            check_inputs(tmp_path, SEEN)
        assert path.read_text(encoding="utf-8") == damaged
