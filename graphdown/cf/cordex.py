"""Names, folders and attributes of statistically downscaled files in the CORDEX-CMIP6 archive.

After the CORDEX-CMIP6 Archiving Specifications, version 2 (doi 10.5281/zenodo.15047096), and for
statistical downscaling the CORDEX experiment design for ESD (draft of April 2024).
"""

import datetime
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from graphdown.cf.provenance import versions
from graphdown.errors import GraphdownError

# Registered names of the domains and experiments: github.com/WCRP-CORDEX/cordex-cmip6-cv.
DOMAINS = {
    "AFR": "Africa",
    "ANT": "Antarctica",
    "ARC": "Arctic",
    "AUS": "Australasia",
    "CAM": "Central America",
    "CAS": "Central Asia",
    "CEU": "Central Europe",
    "EAS": "East Asia",
    "EUR": "Europe",
    "GAR": "Greater Alpine Region",
    "MED": "Mediterranean",
    "MNA": "Middle East and North Africa",
    "NAM": "North America",
    "SAM": "South America",
    "SEA": "South East Asia",
    "WAS": "South Asia",
}
EXPERIMENTS = {
    "evaluation": "reanalysis simulation of the recent past",
    "historical": "all-forcing simulation of the recent past",
    "ssp119": "low-end scenario reaching 1.9 W m-2, based on SSP1",
    "ssp126": "update of RCP2.6 based on SSP1",
    "ssp245": "update of RCP4.5 based on SSP2",
    "ssp370": "gap-filling scenario reaching 7.0 based on SSP3",
    "ssp585": "update of RCP8.5 based on SSP5",
}
PROJECT, ACTIVITY, DAY = "CORDEX-CMIP6", "ESD", "day"
TERMS = "https://cordex.org/data-access/cordex-cmip6-data/cordex-cmip6-terms-of-use"
ELEMENT = r"[A-Za-z0-9-]+"
FORMS = {
    "domain_id": r"[A-Z]{3}-\d+i?",
    "driving_source_id": ELEMENT,
    "driving_experiment_id": ELEMENT,
    "driving_variant_label": r"r\d+i\d+p\d+f\d+",
    "institution_id": ELEMENT,
    "esd_method_id": ELEMENT,
    "training_id": "[A-Za-z0-9]+",
    "version_realization": r"v[1-9]\d*-r[1-9]\d*",
    "version": r"v\d{8}",
}
OPTIONAL = ("comment", "references", "version_realization_info", "further_info_url", "version")


@dataclass(frozen=True)
class CordexAttributes:
    """Attributes of a product, as its makers state them; what is empty is derived if it can be.

    Attributes:
        domain_id, domain: of the region, such as EUR-12; the name of a CORDEX region is known.
        institution_id, institution, contact: who made it.
        esd_method_id, esd_method: the method, as a short name and in words.
        training_id, training: how it was trained, as a short name without dashes and in words.
        source, source_type: the method with its version, and its kind.
        driving_source_id, driving_institution_id, driving_variant_label: the driving model.
        driving_experiment_id, driving_experiment: its experiment, and in words.
        version_realization: of the data, as v1-r1; members count from this realisation on.
        version: of the folder, as v20261201; the day by default.
        grid, comment, references, version_realization_info, further_info_url: further words.
    """

    domain_id: str = ""
    domain: str = ""
    institution_id: str = ""
    institution: str = ""
    contact: str = ""
    esd_method_id: str = "graphdown"
    esd_method: str = "A graph neural network from any source grid to the target grid"
    training_id: str = ""
    training: str = ""
    source: str = ""
    source_type: Literal["", "ESD-PP", "ESD-MOS", "ESD-Combined"] = ""
    driving_source_id: str = ""
    driving_institution_id: str = ""
    driving_variant_label: str = ""
    driving_experiment_id: str = ""
    driving_experiment: str = ""
    version_realization: str = "v1-r1"
    version: str = ""
    grid: str = ""
    comment: str = ""
    references: str = ""
    version_realization_info: str = ""
    further_info_url: str = ""

    def completed(self, known: Mapping[str, str]) -> "CordexAttributes":
        """The attributes with what is known of others, and what follows from them.

        Args:
            known: attributes of the input and of the emulator, for those that are empty.

        Raises:
            GraphdownError: one is missing, or has not the form that the archive demands.
        """
        stated = {name: text for name, text in asdict(self).items() if text}
        region, experiment = stated.get("domain_id", "")[:3], "driving_experiment_id"
        found = {**{k: v for k, v in known.items() if k in asdict(self) and v}, **stated}
        follows = {
            "domain": DOMAINS.get(region, ""),
            "driving_experiment": EXPERIMENTS.get(found.get(experiment, ""), ""),
            "source": f"graphdown {versions()['graphdown']}",
        }
        made = CordexAttributes(**{**{k: v for k, v in follows.items() if v}, **found})
        made._check()
        return made

    def _check(self) -> None:
        for name, form in FORMS.items():
            text = getattr(self, name)
            if text and not re.fullmatch(form, text):
                raise GraphdownError(
                    f"{name!r} is {text!r}, but must have the form {form} in CORDEX file names; "
                    "correct it in the file of --drs-attributes."
                )
        missing = [k for k, text in asdict(self).items() if not text and k not in OPTIONAL]
        if missing:
            raise GraphdownError(
                f"CORDEX files need {', '.join(missing)}; state them in the file of "
                "--drs-attributes, as in 'institution_id: IFCA'."
            )

    @property
    def source_id(self) -> str:
        """Identifier of method and training."""
        return f"{self.esd_method_id}-{self.training_id}"

    def realisation(self, number: int) -> str:
        """`version_realization` of a member, numbered from 0."""
        version, first = self.version_realization.split("-r")
        return f"{version}-r{int(first) + number}"

    def file_name(self, variable: str, number: int, first: str, last: str) -> str:
        """Name of the file of a variable and a period.

        Args:
            variable: its name.
            number: of the member, from 0.
            first, last: days as YYYYMMDD.
        """
        elements = (
            variable,
            self.domain_id,
            self.driving_source_id,
            self.driving_experiment_id,
            self.driving_variant_label,
            self.institution_id,
            self.source_id,
            self.realisation(number),
            DAY,
            f"{first}-{last}",
        )
        return f"{'_'.join(elements)}.nc"

    def folder(self, variable: str, number: int) -> str:
        """Folder of a variable's files below the archive's root, without that of the version."""
        elements = (
            PROJECT,
            ACTIVITY,
            self.domain_id,
            self.institution_id,
            self.driving_source_id,
            self.driving_experiment_id,
            self.driving_variant_label,
            self.source_id,
            self.realisation(number),
            DAY,
            variable,
        )
        return "/".join(elements)

    def global_attrs(self, variable: str, number: int, stochastic: bool) -> dict[str, str]:
        """Global attributes of a file.

        Args:
            variable: its field.
            number: of the member, from 0.
            stochastic: whether there are members.
        """
        stated = {k: text for k, text in asdict(self).items() if text and k != "version"}
        now = datetime.datetime.now(datetime.UTC)
        return {
            **stated,
            "Conventions": "CF-1.11",
            "activity_id": ACTIVITY,
            "creation_date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "frequency": DAY,
            "license": TERMS,
            "mip_era": "CMIP6",
            "product": "model-output",
            "project_id": PROJECT,
            "source_id": self.source_id,
            "stochastic_output": "yes" if stochastic else "no",
            "tracking_id": f"hdl:21.14103/{uuid.uuid4()}",
            "variable_id": variable,
            "version_realization": self.realisation(number),
        }
