"""Catalogue of variables: the one place that says what each of them is."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from graphdown.variables.names import variable_of
from graphdown.variables.variable import (
    MAXIMUM,
    MINIMUM,
    NOT_NEGATIVE,
    SHARE,
    Kind,
    Variable,
)

LEVELLED = re.compile(r"([a-zA-Z]+)(\d+)")

TEMPERATURES = ("degC", "degF")
WATER_RATES = ("kg m-2 s-1", "mm day-1", "m day-1", "m s-1")
ENERGY_RATES = ("J m-2 day-1", "MJ m-2 day-1")
SPEEDS = ("km h-1", "knot")

NEAR_SURFACE_AIR = (
    Variable(
        "tas",
        "K",
        "Near-surface air temperature",
        ("air_temperature",),
        ("t2m", "2t", "T2", "tg", "T_2M", "air2m", "air"),
        other_units=TEMPERATURES,
        plausible=(160.0, 345.0),
        usual_mean=(200.0, 318.0),
        kind="temperature",
    ),
    Variable(
        "tasmax",
        "K",
        "Daily maximum near-surface air temperature",
        ("air_temperature",),
        ("mx2t", "tx", "tmax", "T2MAX"),
        other_units=TEMPERATURES,
        cell_methods=MAXIMUM,
        plausible=(160.0, 345.0),
        usual_mean=(200.0, 318.0),
        kind="temperature",
        extreme_of="tas",
    ),
    Variable(
        "tasmin",
        "K",
        "Daily minimum near-surface air temperature",
        ("air_temperature",),
        ("mn2t", "tn", "tmin", "T2MIN"),
        other_units=TEMPERATURES,
        cell_methods=MINIMUM,
        plausible=(160.0, 345.0),
        usual_mean=(200.0, 318.0),
        kind="temperature",
        extreme_of="tas",
    ),
    Variable(
        "tdps",
        "K",
        "Near-surface dew point temperature",
        ("dew_point_temperature",),
        ("d2m", "2d", "TD_2M"),
        other_units=TEMPERATURES,
        plausible=(140.0, 330.0),
    ),
    Variable(
        "huss",
        "1",
        "Near-surface specific humidity",
        ("specific_humidity",),
        ("q2m", "sh2", "2sh", "QV_2M"),
        other_units=("g kg-1",),
        plausible=(-1e-3, 0.06),
        usual_maximum=(0.0, 1e-4),
        bounds=NOT_NEGATIVE,
    ),
    # Over ice, models exceed 100 %; impact models expect fields that do not.
    Variable(
        "hurs",
        "1",
        "Near-surface relative humidity",
        ("relative_humidity",),
        ("2r", "rh2m", "r2m", "RELHUM_2M"),
        other_units=("%",),
        plausible=(-0.1, 2.0),
        usual_maximum=(0.02, 0.2),
        bounds=SHARE,
    ),
    Variable(
        "psl",
        "Pa",
        "Sea level pressure",
        (
            "air_pressure_at_mean_sea_level",
            "air_pressure_at_sea_level",
            "air_pressure_at_msl",
        ),
        ("msl", "prmsl", "slp", "pp", "mslp"),
        other_units=("hPa",),
        plausible=(82000.0, 111000.0),
    ),
    Variable(
        "ps",
        "Pa",
        "Surface air pressure",
        ("surface_air_pressure",),
        ("sp", "PS"),
        other_units=("hPa",),
        plausible=(30000.0, 111000.0),
    ),
    Variable(
        "uas",
        "m s-1",
        "Eastward near-surface wind",
        ("eastward_wind",),
        ("u10", "10u", "U10"),
        other_units=SPEEDS,
        plausible=(-130.0, 130.0),
        northward="vas",
    ),
    Variable(
        "vas",
        "m s-1",
        "Northward near-surface wind",
        ("northward_wind",),
        ("v10", "10v", "V10"),
        other_units=SPEEDS,
        plausible=(-130.0, 130.0),
    ),
    Variable(
        "sfcWind",
        "m s-1",
        "Near-surface wind speed",
        ("wind_speed",),
        ("si10", "10si", "ws10", "sfcwind"),
        other_units=SPEEDS,
        plausible=(-0.1, 130.0),
        bounds=NOT_NEGATIVE,
        kind="amount",
    ),
    Variable(
        "sfcWindmax",
        "m s-1",
        "Daily maximum near-surface wind speed",
        ("wind_speed",),
        other_units=SPEEDS,
        cell_methods=MAXIMUM,
        plausible=(-0.1, 130.0),
        bounds=NOT_NEGATIVE,
        kind="amount",
        extreme_of="sfcWind",
    ),
    Variable(
        "wsgsmax",
        "m s-1",
        "Daily maximum near-surface wind speed of gust",
        ("wind_speed_of_gust",),
        ("fg10", "i10fg", "VMAX_10M"),
        other_units=SPEEDS,
        cell_methods=MAXIMUM,
        plausible=(-0.1, 200.0),
        bounds=NOT_NEGATIVE,
        kind="amount",
    ),
    Variable(
        "zmla",
        "m",
        "Height of boundary layer",
        ("atmosphere_boundary_layer_thickness",),
        ("blh", "hpbl", "PBLH"),
        plausible=(-10.0, 2e4),
        bounds=NOT_NEGATIVE,
        kind="amount",
    ),
)

WATER = (
    Variable(
        "pr",
        "mm day-1",
        "Precipitation",
        ("lwe_precipitation_rate", "precipitation_flux"),
        ("tp", "rr", "prate", "precip", "tot_prec", "TOT_PREC"),
        (
            "precipitation_amount",
            "lwe_thickness_of_precipitation_amount",
            "thickness_of_rainfall_amount",
        ),
        WATER_RATES,
        plausible=(-0.1, 2e4),
        usual_maximum=(0.01, 1.0),
        usual_mean=(0.0, 200.0),
        often_zero=True,
        bounds=NOT_NEGATIVE,
        kind="precipitation",
        transform="log1p",
    ),
    Variable(
        "prc",
        "mm day-1",
        "Convective precipitation",
        ("lwe_convective_precipitation_rate", "convective_precipitation_flux"),
        (),
        ("convective_precipitation_amount", "lwe_thickness_of_convective_precipitation_amount"),
        WATER_RATES,
        plausible=(-0.1, 2e4),
        usual_maximum=(0.01, 0.1),
        often_zero=True,
        bounds=NOT_NEGATIVE,
        kind="precipitation",
        transform="log1p",
    ),
    Variable(
        "prsn",
        "mm day-1",
        "Snowfall",
        ("lwe_snowfall_rate", "snowfall_flux"),
        (),
        ("snowfall_amount", "lwe_thickness_of_snowfall_amount"),
        WATER_RATES,
        plausible=(-0.1, 2e4),
        usual_maximum=(0.0, 0.01),
        often_zero=True,
        bounds=NOT_NEGATIVE,
        kind="precipitation",
        transform="log1p",
    ),
    Variable(
        "evspsbl",
        "mm day-1",
        "Evaporation including sublimation and transpiration",
        (
            "lwe_water_evaporation_rate",
            "water_evapotranspiration_flux",
            "water_evaporation_flux",
        ),
        amount_names=(
            "water_evaporation_amount",
            "water_evapotranspiration_amount",
            "lwe_thickness_of_water_evaporation_amount",
        ),
        other_units=WATER_RATES,
        plausible=(-100.0, 200.0),
        usual_maximum=(0.0, 0.05),
    ),
    Variable(
        "mrro",
        "kg m-2 s-1",
        "Total runoff",
        ("runoff_flux",),
        amount_names=("runoff_amount",),
        other_units=("mm day-1",),
        plausible=(-1e-3, 0.3),
        often_zero=True,
        kind="amount",
        bounds=NOT_NEGATIVE,
    ),
    Variable(
        "mrso",
        "kg m-2",
        "Total soil moisture content",
        ("mass_content_of_water_in_soil", "soil_moisture_content"),
        plausible=(-1.0, 1e6),
        often_zero=True,
        bounds=NOT_NEGATIVE,
    ),
    Variable(
        "snw",
        "kg m-2",
        "Surface snow amount",
        ("surface_snow_amount", "lwe_thickness_of_surface_snow_amount"),
        ("swe", "SWE", "W_SNOW"),
        other_units=("m",),
        plausible=(-1.0, 1e6),
        often_zero=True,
        bounds=NOT_NEGATIVE,
        kind="amount",
        transform="log1p",
    ),
    Variable(
        "snd",
        "m",
        "Snow depth",
        ("surface_snow_thickness",),
        ("H_SNOW",),
        plausible=(-0.1, 1e3),
        often_zero=True,
        bounds=NOT_NEGATIVE,
        kind="amount",
    ),
    Variable(
        "snc",
        "1",
        "Snow area fraction",
        ("surface_snow_area_fraction",),
        other_units=("%",),
        plausible=(-0.01, 1.01),
        often_zero=True,
        bounds=SHARE,
    ),
    Variable(
        "prw",
        "kg m-2",
        "Water vapour path",
        ("atmosphere_mass_content_of_water_vapor",),
        ("tcwv",),
        plausible=(-1.0, 150.0),
        bounds=NOT_NEGATIVE,
    ),
    Variable(
        "clt",
        "1",
        "Total cloud cover",
        ("cloud_area_fraction",),
        ("tcc", "CLCT"),
        other_units=("%",),
        plausible=(-0.01, 1.01),
        usual_maximum=(0.0, 0.02),
        often_zero=True,
        bounds=SHARE,
    ),
)


def _radiation(name: str, long_name: str, standard_name: str, *aliases: str) -> Variable:
    """Entry of a flux of radiation in W m-2; sunlight, zero at night, is an amount."""
    is_sunlight = name.startswith("rs")
    return Variable(
        name,
        "W m-2",
        long_name,
        (standard_name,),
        aliases,
        (f"integral_wrt_time_of_{standard_name}",),
        ENERGY_RATES,
        plausible=(-10.0, 1500.0),
        usual_maximum=(0.0, 1.0) if is_sunlight else (20.0, 50.0),
        often_zero=is_sunlight,
        bounds=NOT_NEGATIVE,
        kind="amount" if is_sunlight else "state",
    )


def _heat_flux(name: str, heat: str) -> Variable:
    """Entry of a turbulent flux of heat in W m-2, positive upward."""
    return Variable(
        name,
        "W m-2",
        f"Surface upward {heat} heat flux",
        (f"surface_upward_{heat}_heat_flux",),
        other_units=ENERGY_RATES,
        plausible=(-2000.0, 3000.0),
        usual_maximum=(0.0, 1.0),
    )


ENERGY = (
    _radiation(
        "rsds",
        "Surface downwelling shortwave radiation",
        "surface_downwelling_shortwave_flux_in_air",
        *("ssrd", "dswrf", "SWDOWN"),
    ),
    _radiation(
        "rlds",
        "Surface downwelling longwave radiation",
        "surface_downwelling_longwave_flux_in_air",
        *("strd", "dlwrf", "GLW"),
    ),
    _radiation(
        "rsus",
        "Surface upwelling shortwave radiation",
        "surface_upwelling_shortwave_flux_in_air",
        "uswrf",
    ),
    _radiation(
        "rlus",
        "Surface upwelling longwave radiation",
        "surface_upwelling_longwave_flux_in_air",
        "ulwrf",
    ),
    _radiation("rsdt", "TOA incident shortwave radiation", "toa_incoming_shortwave_flux", "tisr"),
    _radiation("rsut", "TOA outgoing shortwave radiation", "toa_outgoing_shortwave_flux"),
    _radiation("rlut", "TOA outgoing longwave radiation", "toa_outgoing_longwave_flux"),
    _heat_flux("hfls", "latent"),
    _heat_flux("hfss", "sensible"),
)

SURFACE = (
    Variable(
        "ts",
        "K",
        "Surface temperature",
        ("surface_temperature",),
        ("skt", "TSK"),
        other_units=TEMPERATURES,
        plausible=(140.0, 380.0),
    ),
    Variable(
        "tos",
        "K",
        "Sea surface temperature",
        ("sea_surface_temperature",),
        ("sst", "SST"),
        other_units=TEMPERATURES,
        plausible=(260.0, 320.0),
    ),
    Variable(
        "siconc",
        "1",
        "Sea ice area fraction",
        ("sea_ice_area_fraction",),
        ("siconca", "sic"),
        other_units=("%",),
        plausible=(-0.01, 1.01),
        often_zero=True,
        bounds=SHARE,
    ),
    Variable(
        "orog",
        "m",
        "Surface altitude",
        ("surface_altitude", "surface_geopotential"),
        ("HSURF", "topo", "elevation", "oro", "HGT_M"),
        other_units=("m2 s-2",),
        cell_methods="",
        plausible=(-600.0, 9000.0),
        often_zero=True,
        kind="static",
    ),
    Variable(
        "sftlf",
        "1",
        "Land area fraction",
        ("land_area_fraction", "land_binary_mask"),
        ("lsm", "FR_LAND", "landmask", "LANDMASK"),
        other_units=("%",),
        cell_methods="",
        plausible=(-0.01, 1.01),
        often_zero=True,
        bounds=SHARE,
        kind="static",
    ),
)

ON_LEVELS = (
    Variable(
        "ta",
        "K",
        "Air temperature",
        ("air_temperature",),
        ("t", "T", "air"),
        other_units=TEMPERATURES,
        plausible=(140.0, 345.0),
        kind="temperature",
        levels=True,
    ),
    Variable(
        "zg",
        "m",
        "Geopotential height",
        ("geopotential_height", "geopotential"),
        ("z", "gh", "hgt", "Z"),
        other_units=("m2 s-2",),
        plausible=(-1000.0, 60000.0),
        levels=True,
    ),
    Variable(
        "hus",
        "1",
        "Specific humidity",
        ("specific_humidity",),
        ("q", "Q", "shum"),
        other_units=("g kg-1",),
        plausible=(-1e-3, 0.06),
        bounds=NOT_NEGATIVE,
        levels=True,
    ),
    # Aloft, air is often supersaturated with respect to ice.
    Variable(
        "hur",
        "1",
        "Relative humidity",
        ("relative_humidity",),
        ("r", "rhum"),
        other_units=("%",),
        plausible=(-0.3, 3.0),
        usual_maximum=(0.0, 0.02),
        bounds=NOT_NEGATIVE,
        levels=True,
    ),
    Variable(
        "ua",
        "m s-1",
        "Eastward wind",
        ("eastward_wind",),
        ("u", "U", "uwnd"),
        other_units=SPEEDS,
        plausible=(-200.0, 200.0),
        northward="va",
        levels=True,
    ),
    Variable(
        "va",
        "m s-1",
        "Northward wind",
        ("northward_wind",),
        ("v", "V", "vwnd"),
        other_units=SPEEDS,
        plausible=(-200.0, 200.0),
        levels=True,
    ),
    Variable(
        "wap",
        "Pa s-1",
        "Pressure tendency",
        ("lagrangian_tendency_of_air_pressure",),
        ("omega",),
        other_units=("hPa s-1",),
        plausible=(-50.0, 50.0),
        levels=True,
    ),
)

_REGISTERED: dict[str, Variable] = {}


def register_variable(variable: Variable) -> Variable:
    """Add a variable to the catalogue; adding it once more changes nothing.

    Raises:
        ValueError: the catalogue has another variable of that name.
    """
    if _REGISTERED.setdefault(variable.name, variable) != variable:
        raise ValueError(
            f"the variable {variable.name!r} is in the catalogue already; give yours another name"
        )
    return variable


for _variable in (*NEAR_SURFACE_AIR, *WATER, *ENERGY, *SURFACE, *ON_LEVELS):
    register_variable(_variable)


def registered() -> Mapping[str, Variable]:
    """Every variable of the catalogue by name; those on levels without a level."""
    return MappingProxyType(_REGISTERED)


def describe(name: str) -> Variable:
    """Entry of a variable such as tas, ua850, tas@-1 or pr#2; of an unknown one the name alone."""
    variable = variable_of(name)
    family, level = split_level(variable)
    if level is not None:
        return _REGISTERED[family].at_level(level)
    return _REGISTERED.get(variable, Variable(variable))


def split_level(name: str) -> tuple[str, int | None]:
    """Family and level (hPa) of a name such as ta850; no level for tas."""
    matched = LEVELLED.fullmatch(name)
    if matched and name not in _REGISTERED:
        family = _REGISTERED.get(matched[1])
        if family is not None and family.levels:
            return family.name, int(matched[2])
    return name, None


def canonical_units(name: str) -> str | None:
    """Canonical units of a variable such as tas or ua850, None if unknown."""
    return describe(name).units or None


def names_of_kind(kind: Kind) -> tuple[str, ...]:
    """Names of the variables of a kind."""
    return tuple(name for name, variable in _REGISTERED.items() if variable.kind == kind)


def daily_methods(name: str) -> dict[str, str]:
    """Methods along time of a variable, its daily maximum and minimum, by name.

    Empty for a variable of which the catalogue has no extremes.
    """
    base = describe(name).extreme_of or variable_of(name)
    family = [v for v in _REGISTERED.values() if base in (v.name, v.extreme_of)]
    return {v.name: v.method for v in family} if len(family) > 1 else {}


STATIC = names_of_kind("static")
