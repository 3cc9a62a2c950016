import numpy as np
import pytest

from graphdown.cf.provenance import driving_attrs

CMIP6 = {
    "source_id": "MIROC6",
    "institution_id": "MIROC",
    "mip_era": "CMIP6",
    "experiment_id": "ssp119",
    "variant_label": "r1i1p1f1",
    "parent_variant_label": "r9i1p1f1",
    "parent_source_id": "OTHER",
}
CMIP5 = {
    "model_id": "EC-EARTH",
    "institute_id": "ICHEC",
    "experiment_id": "rcp85",
    "realization": np.int32(12),
    "initialization_method": np.int32(1),
    "physics_version": np.int32(1),
    "parent_experiment_rip": "r1i1p1",
}
CORDEX = {
    "model_id": "KNMI-RACMO22E",
    "institute_id": "KNMI",
    "experiment_id": "rcp85",
    "driving_model_id": "ICHEC-EC-EARTH",
    "driving_experiment_name": "rcp85",
    "driving_model_ensemble_member": "r12i1p1",
}
CORDEX_CMIP6 = {
    "source_id": "REMO2020",
    "driving_source_id": "MPI-ESM1-2-HR",
    "driving_experiment_id": "historical",
    "driving_variant_label": "r1i1p1f1",
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (CMIP6, ("MIROC6", "MIROC", "ssp119", "r1i1p1f1")),
        (CMIP5, ("EC-EARTH", "ICHEC", "rcp85", "r12i1p1")),
        (CORDEX, ("KNMI-RACMO22E", "KNMI", "rcp85", "r12i1p1")),
        (CORDEX_CMIP6, ("REMO2020", None, "historical", "r1i1p1f1")),
        ({"source_id": "N/A", "experiment_id": "", "title": "x"}, (None, None, None, None)),
    ],
)
def test_the_driving_model_is_named_by_what_its_files_say(given, expected):
    made = driving_attrs(given)
    names = ("source_id", "institution_id", "experiment_id", "variant_label")
    assert tuple(made.get(f"driving_{name}") for name in names) == expected
    assert made.get("driving_mip_era") == given.get("mip_era")
    assert None not in made.values() and "" not in made.values()
