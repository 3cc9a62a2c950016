"""The nine invariants of the design as checks, each an AssertionError where it does not hold.

`test_invariants` calls them on the code as it is, `test_mutations` on code broken on purpose. A
check compares two results of the same code, so it holds whatever the weights are; they are random,
and no layer is silent. How far two results may lie apart, and why so far, is said below.
"""

import pickle
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from flax import nnx

from graphdown.data.load import ExperimentData
from graphdown.data.normalise import Normaliser
from graphdown.emulator.build_network import new_network
from graphdown.emulator.domain import TargetDomain
from graphdown.emulator.emulator import Emulator
from graphdown.emulator.eofs import EOFs
from graphdown.emulator.storage import load, save
from graphdown.model import (
    Downscaler,
    GraphArrays,
    NetworkShape,
    graph_arrays,
    predict,
    source_arrays,
)
from graphdown.model.arrays import with_spacing_offset, with_target
from graphdown.model.parameters import named_values
from graphdown.training import Trainer, prepare_training
from graphdown.training.parallel import AXIS
from graphdown.training.run.checkpoint import Checkpoints, RunProgress
from graphdown.training.step import initial_state, make_step
from meshes import DownscalingGraph, EdgeSet, Grid, Mesh, bilinear, build_graph
from meshes.geometry.sphere import (
    EARTH_RADIUS_KM,
    lonlat_to_xyz,
    tangent_frame,
    wrap_longitude,
    xyz_to_lonlat,
)
from meshes.graphs import features
from meshes.graphs.builder_registry import MESH_BUILDERS
from meshes.graphs.builders.icosahedral_mesh import icosahedral_mesh
from meshes.graphs.direct_edges import direct_edges
from meshes.graphs.source_comparison import Comparison

from .estimates import on_device
from .model import plain
from .model.conftest import (
    BOUND,
    GRAPH_SPEC,
    MODEL,
    SCALES,
    SOURCE,
    STATICS,
    TARGET,
    randomised,
    season,
    weather,
)
from .model.conftest import new_network as network_of
from .training import conftest as weather_on

# Predictions are of order 10, of which float32 resolves 1e-6; another order of the terms of some
# ten sums, one inside the other, moves them by a few of that, and by ten where gains amplify.
ROUNDING = 2e-5
# Gradients are sums over all nodes, relative to the largest of an array.
GRADIENT = 1e-5
# Relative norm of an array after a few steps: each adds the gradients of the shares in another
# order, and Adam divides by their size.
SHARES = 1e-5
# Double precision: components of vectors between points a few degrees apart.
FRAME = 1e-13
# No tolerance: a run that goes on (7) and an emulator that was saved (8) are the same bytes, and
# shapes (5) are the same numbers.

PLACES = TARGET.select(np.arange(TARGET.size))  # as a list of cells, to put in any order
FIELDS = Grid.regular(1.0, 1.0, (-9.0, 35.0, 23.0, 57.0))
REGION = (-9.0, 35.0, 23.0, 57.0)


@dataclass(frozen=True)
class Case:
    """A network with its target; with EOFs it corrects their estimate."""

    network: Downscaler
    domain: TargetDomain


def geometry_of(
    target: Grid, eofs: EOFs | None = None, order=slice(None), innovations: bool = False
) -> TargetDomain:
    """The target with a rough orography and a coast, its points in an order."""
    rng = np.random.default_rng(3)
    orog = rng.uniform(0.0, 2000.0, target.size)[order]
    land = rng.uniform(0.0, 1.0, target.size)[order]
    statics = {"orog": target.dataarray(orog, "orog"), "sftlf": target.dataarray(land, "sftlf")}
    return TargetDomain(target, xr.Dataset(statics), GRAPH_SPEC, eofs, innovations=innovations)


@cache
def case(eofs: int = 0, messages: str = "linear", innovations: int = 0) -> Case:
    domain = geometry_of(PLACES, random_eofs(eofs) if eofs else None, innovations=innovations > 0)
    sizes = (3, 3, 2, len(domain.static_names), 5, 5, 4, TARGET.size, 3 if eofs else 0)
    shape = NetworkShape(*sizes)
    spec = replace(MODEL, messages=messages, innovation_rounds=innovations)
    return Case(randomised(lambda: Downscaler(spec, shape, rngs=nnx.Rngs(0))), domain)


def random_eofs(count: int) -> EOFs:
    """Modes of two predictors and three targets; one noise for all, as amplitudes are compared."""
    rng = np.random.default_rng(5)
    phase = rng.normal(0.0, 0.3, (count, 2, 3))
    waves = phase @ np.stack([FIELDS.lon, FIELDS.lat, np.ones(FIELDS.size)])
    patterns = np.moveaxis(np.sin(waves), 1, 2).astype(np.float32)
    targets = rng.normal(size=(count, TARGET.size, 3)).astype(np.float32)
    # Near what is to come, as a mean of training days is, or float32 would resolve little of it.
    usual = weather(FIELDS.size).mean(axis=(0, 1))
    mean = usual + rng.normal(size=(FIELDS.size, 2)), rng.normal(size=(TARGET.size, 3))
    scale, columns = np.array([2.0, 1.5]), np.asarray(SCALES.column)
    parts = mean[0], scale, patterns, mean[1], targets, columns
    return EOFs(FIELDS, *parts, np.array([50.0, 300.0]), np.array([[2.0] * 3, [0.5] * 3]))


@cache
def most_padded() -> tuple[DownscalingGraph, ...]:
    """Graphs of more nodes and edges than any source here: padded as they are, all compile once."""
    fine, coarse = Grid.regular(1.0, 1.0, REGION), Grid.regular(6.0, 6.0, REGION)
    many = fine.select(np.repeat(np.arange(fine.size), 3))
    return tuple(build_graph(source, PLACES, GRAPH_SPEC) for source in (many, coarse))


@cache
def most_compared() -> tuple[Comparison, ...]:
    """Comparisons of the same sources."""
    return tuple(Comparison.between(graph.source, PLACES) for graph in most_padded())


Change = Callable[[DownscalingGraph], DownscalingGraph]


def laid_out(
    domain: TargetDomain, source: Grid, change: Change | None = None, statics=None
) -> GraphArrays:
    """The arrays of a source, padded as `most_padded`; the graph may be changed before."""
    graph, own = domain._graph_and_statics(source, None)
    graph = graph if change is None else change(graph)
    seen = None if domain.eofs is None else domain.eofs.observation(source)
    graphs, every = (graph, *most_padded()), (seen, None, None)
    given = [own if statics is None else statics] * 3
    compared = [None] * 3
    if domain.innovations:
        compared = [domain._comparison(source), *most_compared()]
    arrays = source_arrays(graphs, given, every, compared)
    return with_target(arrays[0], graph, 0, domain.patterns())


@partial(jax.jit, static_argnames="graphdef")
def _predict(graphdef, params, source, forcings, graph):
    return predict(nnx.merge(graphdef, params), SCALES, source, forcings, graph)


def predicted(network: Downscaler, values: np.ndarray, graph: GraphArrays, rest=0.0) -> np.ndarray:
    """The prediction [days, Nt, 3] of values [days, Ns, 2]; `rest` stands at padded nodes."""
    nodes = graph.encode.outgoing.blocks[0].shape[0]
    extra = (0, nodes - values.shape[1])
    source = np.pad(values, ((0, 0), extra, (0, 0)), constant_values=rest)
    made = _predict(*nnx.split(network), source, season(len(values)), graph)
    return np.asarray(made)


def downscaled(case: Case, source: Grid, values: np.ndarray, change=None, domain=None):
    domain = case.domain if domain is None else domain
    return predicted(case.network, values, laid_out(domain, source, change))


def taken(grid: Grid, index: np.ndarray) -> Grid:
    """The cells of a list in an order, some of them several times."""
    parts = {name: getattr(grid, name)[index] for name in ("lon", "lat", "area", "mask", "corners")}
    return replace(grid, **parts, shape=(len(index),), coords=xr.Dataset())


def same(made: np.ndarray, expected: np.ndarray) -> None:
    assert np.std(expected) > 0.5
    np.testing.assert_allclose(made, expected, atol=ROUNDING, rtol=0)


# 1. Order


def check_order_of_source(case: Case, source: Grid, seed: int) -> None:
    """The prediction does not change with the order of the source nodes."""
    values = weather(source.size)
    order = np.random.default_rng(seed).permutation(source.size)
    made = downscaled(case, taken(source, order), values[:, order])
    same(made, downscaled(case, source, values))


def check_order_of_target(case: Case, source: Grid, seed: int) -> None:
    """The prediction takes the order of the target nodes, and nothing else of it changes."""
    values, eofs = weather(source.size), case.domain.eofs
    order = np.random.default_rng(seed).permutation(TARGET.size)
    if eofs is not None:
        own = eofs.target_mean[order], eofs.target_patterns[:, order]
        eofs = replace(eofs, target_mean=own[0], target_patterns=own[1])
    domain = geometry_of(PLACES.select(order), eofs, order, case.domain.innovations)
    made = downscaled(case, source, values, domain=domain)
    same(made, downscaled(case, source, values)[:, order])


def check_order_of_edges(case: Case, source: Grid, seed: int) -> None:
    """The prediction does not change with the order in which a graph lists edges and weights."""
    rng, values = np.random.default_rng(seed), weather(source.size)

    def mixed(listed, names):
        order = rng.permutation(len(getattr(listed, names[0])))
        return replace(listed, **{name: getattr(listed, name)[order] for name in names})

    def change(graph):
        edges = ("senders", "receivers", "features", "weights")
        parts = {name: mixed(getattr(graph, name), edges) for name in ("encode", "decode")}
        parts["process"] = mixed(graph.process, edges)
        entries = ("rows", "cols", "values")
        parts |= {name: mixed(getattr(graph, name), entries) for name in ("to_mesh", "to_target")}
        return replace(graph, **parts)

    same(downscaled(case, source, values, change), downscaled(case, source, values))


def check_alone(case: Case, source: Grid, some: np.ndarray) -> None:
    """Target nodes `some` are predicted on the graph without the others as they are with them."""
    graph, statics = case.domain._graph_and_statics(source, None)
    values, target = weather(source.size), PLACES.select(some)
    graph = replace(graph, target=target, to_target=bilinear(source, target))
    few = graph_arrays(replace(graph, decode=graph.build_edges("decode")), statics[some])
    whole = downscaled(case, source, values)
    same(predicted(case.network, values, few), whole[:, some])


# 2. Splitting and padding


def check_split(case: Case, source: Grid, seed: int) -> None:
    """Source points in up to three parts, anywhere in the list, are one point of the whole area."""
    rng, values = np.random.default_rng(seed), weather(source.size)
    times = rng.integers(1, 4, source.size)
    parts = rng.permutation(np.repeat(np.arange(source.size), times))
    size = rng.uniform(0.2, 1.0, len(parts))
    share = size / np.bincount(parts, size)[parts]
    split = replace(taken(source, parts), area=source.area[parts] * share)
    same(downscaled(case, split, values[:, parts]), downscaled(case, source, values))


def check_padding(case: Case, source: Grid) -> None:
    """Neither the size of the padding nor what stands there has a say."""
    values, arrays = weather(source.size), laid_out(case.domain, source)
    made = predicted(case.network, values, arrays)
    np.testing.assert_array_equal(predicted(case.network, values, arrays, rest=1e3), made)
    graph, statics = case.domain._graph_and_statics(source, None)
    seen = None if case.domain.eofs is None else case.domain.eofs.observation(source)
    patterns = case.domain.patterns()
    bare = graph_arrays(graph, statics, 0, seen, patterns, case.domain._comparison(source))
    assert bare.encode.weights[0].size < arrays.encode.weights[0].size
    same(predicted(case.network, values, bare), made)


# 3. Names and turns


def turned(grid: Grid, degrees: float) -> Grid:
    """The grid turned about the Earth's axis."""
    lon = wrap_longitude(grid.lon + degrees)
    corners = grid.corners.copy()
    corners[..., 0] += (lon - grid.lon)[:, None]
    return replace(grid, lon=lon, corners=corners)


def rotated(grid: Grid, matrix: np.ndarray) -> Grid:
    """The points of the grid, rotated."""
    return Grid.from_points(*xyz_to_lonlat(grid.xyz @ matrix.T), grid.area)


@contextmanager
def mesh_rotated(matrix: np.ndarray):
    """Let graphs have the mesh of the target as it stands, rotated."""

    def build(_, spec):
        mesh = icosahedral_mesh(PLACES, spec)
        return replace(mesh, xyz=mesh.xyz @ matrix.T)

    with mock.patch.dict(MESH_BUILDERS, icosahedral=build):
        yield


def about_the_axis(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def check_whole_turns(case: Case, source: Grid, turns: int) -> None:
    """Longitudes that are 360 degrees larger or smaller name the same places."""
    values, full = weather(source.size), 360.0 * turns
    far = replace(source, lon=source.lon + full, corners=source.corners + [full, 0.0])
    target = replace(PLACES, lon=PLACES.lon - full, corners=PLACES.corners - [full, 0.0])
    domain = geometry_of(target, case.domain.eofs, innovations=case.domain.innovations)
    made = downscaled(case, far, values, domain=domain)
    same(made, downscaled(case, source, values))


STORAGES = ("downwards", "0..360", "transposed")


def stored(grid: Grid, how: str) -> tuple[Grid, np.ndarray]:
    """A longitude-latitude grid read from a dataset that holds it otherwise, and the new order."""
    index = grid.dataarray(np.arange(grid.size, dtype=float), "index")
    ds = index.to_dataset().assign_coords(grid.coords.coords)
    if how == "downwards":
        ds = ds.isel(lat=slice(None, None, -1))
    elif how == "0..360":
        turn = 360.0 * (ds.lon < 0.0)
        lon = (ds.lon + turn).assign_attrs(ds.lon.attrs)
        ds = ds.assign_coords(lon=lon, lon_bnds=ds.lon_bnds + turn).sortby("lon")
    else:
        ds = ds.transpose("lon", "lat", ...)
    made = Grid.from_dataset(ds)
    return made, made.values(ds["index"]).astype(int)


def check_storage(case: Case, source: Grid, how: str) -> None:
    """A file may hold latitudes downwards, longitudes from 0 to 360, dimensions in any order."""
    values = weather(source.size)
    other, order = stored(source, how)
    assert np.any(order != np.arange(source.size))
    same(downscaled(case, other, values[:, order]), downscaled(case, source, values))


def check_turn(case: Case, source: Grid, degrees: float) -> None:
    """Source, mesh and target, turned together about the Earth's axis, give the same."""
    values, eofs = weather(source.size), case.domain.eofs
    eofs = None if eofs is None else replace(eofs, grid=turned(FIELDS, degrees))
    domain = geometry_of(turned(PLACES, degrees), eofs, innovations=case.domain.innovations)
    with mesh_rotated(about_the_axis(degrees)):
        made = downscaled(case, turned(source, degrees), values, domain=domain)
    same(made, downscaled(case, source, values))


def check_rotation(source: Grid, matrix: np.ndarray) -> None:
    """About any axis, all of the graph stays but the directions, which turn with north.

    Edges, weights, distances, heights and spacings stay; at each receiver east and north turn by
    the angle between the old north, carried along, and the new.
    """
    before = build_graph(source, PLACES, GRAPH_SPEC)
    with mesh_rotated(matrix):
        after = build_graph(rotated(source, matrix), rotated(PLACES, matrix), GRAPH_SPEC)
    for name, places in (("encode", before.mesh), ("process", before.mesh), ("decode", PLACES)):
        edges_turned(getattr(before, name), getattr(after, name), places, matrix)
    for name in ("to_mesh", "to_target"):
        pair = (getattr(graph, name).matrix().toarray() for graph in (after, before))
        np.testing.assert_allclose(*pair, atol=1e-9)


def check_rotation_of_direct_edges(source: Grid, matrix: np.ndarray) -> None:
    """The same holds for the direct edges."""
    before = direct_edges(source, PLACES)
    after = direct_edges(rotated(source, matrix), rotated(PLACES, matrix))
    edges_turned(before, after, PLACES, matrix)


def edges_turned(old: EdgeSet, new: EdgeSet, places: Grid | Mesh, matrix: np.ndarray) -> None:
    """Edges are the same, but for directions, which turned with the receivers' north."""
    np.testing.assert_array_equal(new.senders, old.senders)
    np.testing.assert_array_equal(new.receivers, old.receivers)
    np.testing.assert_allclose(new.weights, old.weights, atol=1e-6)
    xyz = places.xyz[old.receivers]
    frames = tangent_frame(xyz)[:, :2] @ matrix.T, tangent_frame(xyz @ matrix.T)[:, :2]
    turn = np.einsum("eai,ebi->eab", frames[1], frames[0])
    expected = old.features.copy()
    expected[:, :2] = np.einsum("eab,eb->ea", turn, old.features[:, :2])
    np.testing.assert_allclose(new.features, expected, atol=3e-6)


def undirected(network: Downscaler) -> Downscaler:
    """The network with nothing to tell east from north by: their weights are 0."""
    blind = nnx.clone(network)
    for message in (blind.encode, blind.messages, blind.decode):  # those of the rounds in one
        message.edge.kernel[...] = message.edge.kernel[...].at[..., :2, :].set(0.0)
    return blind


def check_rotation_undirected(case: Case, source: Grid, matrix: np.ndarray) -> None:
    """A network that uses no direction predicts the same after a rotation about any axis."""
    network, values = undirected(case.network), weather(source.size)
    slopeless = np.random.default_rng(4).normal(size=(TARGET.size, len(case.domain.static_names)))
    expected = predicted(network, values, laid_out(case.domain, source, statics=slopeless))
    with mesh_rotated(matrix):
        domain = geometry_of(rotated(PLACES, matrix))
        arrays = laid_out(domain, rotated(source, matrix), statics=slopeless)
    same(predicted(network, values, arrays), expected)


# 4. Refinement

SPACINGS = (4.0, 2.0, 1.0, 0.5)
REFINED = (-12.0, 32.0, 28.0, 60.0)
# Fields at the target are as rough as its statics: a source shows how smooth its own field is with
# cells that are smaller than the target's, of 0.7 degrees.
BELOW_TARGET = (0.4, 0.2, 0.1, 0.05)
AROUND_TARGET = (9.0, 45.0, 27.0, 56.0)


def check_refinement(
    case: Case,
    seed: int,
    spacings: Sequence[float] = SPACINGS,
    region: Sequence[float] = REFINED,
) -> None:
    """From ever finer grids of a smooth field the predictions converge.

    Each refinement changes the prediction by less than half of what the one before did, and each
    prediction is nearer to the one from the finest grid. The network is told one
    spacing throughout (in training it is jittered): log_spacing itself has no limit.
    """
    phase = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, (2, 2))
    grids = [Grid.regular(spacing, spacing, tuple(region)) for spacing in spacings]
    domain = case.domain
    graphs = [domain.graph(grid) for grid in grids]
    _, statics = domain._graph_and_statics(grids[-1], None)
    made = []
    for spacing, grid, own in zip(
        spacings,
        grids,
        source_arrays(graphs, [statics] * 4, [None] * 4, [*map(domain._comparison, grids)]),
        strict=True,
    ):
        x, y = np.radians(9.0 * grid.lon), np.radians(12.0 * grid.lat)
        waves = [np.sin(x + px) * np.sin(y + py) for px, py in phase]
        values = np.stack([1.0 + 3.0 * waves[0], 2.0 + waves[1]], axis=-1).astype(np.float32)
        arrays = with_spacing_offset(
            with_target(own, graphs[-1], 0, None), jnp.float32(np.log(spacings[-1] / spacing))
        )
        made.append(predicted(case.network, values[None], arrays))
    steps = [rms(fine - coarse) for coarse, fine in pairwise(made)]
    errors = [rms(one - made[-1]) for one in made[:-1]]
    assert np.std(made[-1]) > 0.5
    assert all(after < 0.5 * before for before, after in pairwise(steps)), steps
    assert all(after < before for before, after in pairwise(errors)), errors
    assert errors[-1] < 0.01 * np.std(made[-1]), errors


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def check_refinement_of_modes(seed: int, count: int = 6) -> None:
    """From ever finer grids the estimate by the EOFs converges to the fields' own targets."""
    eofs = random_eofs(count)
    amplitudes = np.random.default_rng(seed).normal(size=(3, count))
    truth = np.einsum("dk,knt->dnt", amplitudes, eofs.target_patterns)
    shown = np.einsum("dk,knv->dvn", amplitudes, eofs.patterns) * eofs.scale[:, None]
    errors = []
    for spacing in SPACINGS:
        grid = Grid.regular(spacing, spacing, REGION)
        means = eofs.weights(grid).apply(shown + eofs.mean.T)
        made = on_device(eofs, grid, TARGET, np.moveaxis(np.nan_to_num(means), 1, 2))
        errors.append(rms(made - eofs.target_mean - truth) / rms(truth))
    assert all(after < 0.5 * before for before, after in pairwise(errors)), errors


# 5. Shapes


def data_on(source: Grid, target: Grid) -> ExperimentData:
    """The tests' weather on a source grid and on a target grid."""
    return ExperimentData(
        weather_on.truth(target),
        weather_on.orography(target),
        {"a": weather_on.source(source)},
        {},
    )


def leave_files(folder, data, model=None) -> None:
    """Write the checkpoint and the emulator of a run that has just begun."""
    trainer = Trainer(
        prepare_training(weather_on.make_experiment(folder, data, model), data), folder
    )
    trainer.keep(trainer.params)
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(initial_state(trainer.params, trainer.optimiser), RunProgress())
    checkpoints.close()


def shapes_in_files(folder) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all arrays in the checkpoints and the emulator of a run's folder."""
    import orbax.checkpoint as ocp

    found = {}
    for archive in folder.glob("emulator/*.npz"):
        with np.load(archive, allow_pickle=False) as arrays:
            found |= {f"{archive.name}: {name}": arrays[name].shape for name in arrays.files}
    for state in folder.glob("checkpoints/*/state"):
        with ocp.StandardCheckpointer() as reader:
            stored = reader.metadata(state).item_metadata.tree
        found |= {f"{state.parent.name}: {name}": leaf.shape for name, leaf in stored.items()}
    assert any("params." in name for name in found) and any(".npz" in name for name in found)
    return found


def differing(first, second) -> set[str]:
    """Names of the arrays in files that two runs have of different shapes, or one of them alone."""
    a, b = shapes_in_files(first), shapes_in_files(second)
    return {name.split(": ")[1] for name in a.keys() | b.keys() if a.get(name) != b.get(name)}


def check_free_of(first, second, bound=()) -> None:
    """Two runs that differ in a grid leave arrays of the same shapes, but for those `bound` to it.

    Args:
        first, second: folders of the runs.
        bound: parts of the names of arrays that must differ, all others must not.
    """
    unlike = differing(first, second)
    assert {name for name in unlike if not any(part in name for part in bound)} == set()
    assert all(any(part in name for name in unlike) for part in bound)


# 6. Fast paths


def check_fast_path() -> None:
    """The network on padded tables is the plain one, in values and in all gradients."""
    graph = build_graph(SOURCE, TARGET, GRAPH_SPEC)
    arrays = graph_arrays(graph, STATICS, BOUND.target_regression)
    graphdef, params = nnx.split(randomised(lambda: network_of(replace(BOUND, rounds=1))))
    rng = np.random.default_rng(6)
    x = rng.normal(size=(SOURCE.size, 2, 3)).astype(np.float32)
    probe = rng.normal(size=(TARGET.size, 2, 3)).astype(np.float32)
    nodes = arrays.encode.outgoing.blocks[0].shape[0]

    def fast(params, x, forcings):
        padded = jnp.pad(x, ((0, nodes - len(x)), (0, 0), (0, 0)))
        return nnx.merge(graphdef, params)(padded, forcings, arrays)

    def reference(params, x, forcings):
        own = nnx.merge(graphdef, params)
        return plain.network(own, x, forcings, graph, STATICS, arrays.around)

    def with_gradients(apply):
        made, pull = jax.vjp(apply, params, x, season(2))
        return made, pull(probe)

    results = (jax.jit(partial(with_gradients, apply))() for apply in (fast, reference))
    for made, expected in zip(*map(jax.tree.leaves, results), strict=True):
        size = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(made, expected, rtol=0, atol=GRADIENT * size)


# 7. Devices, and going on


@cache
def trainer_with_gaps() -> Trainer:
    """A trainer whose targets are missing unevenly, so that shares have different weights."""
    fine = weather_on.truth()
    fine["tas"][::3, :6] = np.nan
    fine["pr"][:20, 3, 4] = np.nan
    settings = {"batch_size": 8, "warmup_steps": 0, "learning_rate": 1e-3}
    data, model = weather_on.make_data(fine), {"target_embedding": 2}
    return weather_on.make_trainer(data, model, **settings)


def check_shares(trainer, shares: int = 4, steps: int = 2) -> None:
    """The step gives the same state whether the batch is whole or shared among devices.

    The shares run one beside the other under `jax.vmap`, whose named axis is that of the devices.
    """
    step = make_step(trainer.graphdef, trainer.optimiser, 0.9)
    constants = trainer.constants_of(trainer.samples[0])

    def trained(count):
        mapped = jax.jit(jax.vmap(step, (None, 0, None), axis_name=AXIS))
        state = initial_state(trainer.params, trainer.optimiser)
        for number in range(steps):
            batch, _ = trainer.batch(number)
            split = jax.tree.map(lambda a: np.reshape(a, (count, -1, *a.shape[1:])), batch)
            copies, _ = mapped(state, split, constants)
            for copy in jax.tree.leaves(copies):
                np.testing.assert_allclose(copy, copy[:1].repeat(count, 0), rtol=SHARES, atol=1e-7)
            state = jax.tree.map(lambda a: a[0], copies)
        return named_values(state._asdict())

    close(trained(shares), trained(1), SHARES)


def close(made: dict, expected: dict, tolerance: float) -> None:
    """Each array differs by at most this part of its norm."""
    assert made.keys() == expected.keys()
    for name, value in expected.items():
        difference = np.linalg.norm((made[name] - value).ravel())
        assert difference <= tolerance * max(np.linalg.norm(value.ravel()), 1e-12), name


def check_same_run(trainer, cut, whole) -> None:
    """A run that was interrupted left the state and the emulator of one that was not, in bytes.

    Args:
        trainer: of the experiment, for the structure of its state.
        cut, whole: the folders of the two runs.
    """
    (state, progress), (expected, reached) = (final_state(trainer, run) for run in (cut, whole))
    assert without_seconds(progress) == without_seconds(reached)
    same_bytes(state, expected)
    same_bytes(load(cut).params, load(whole).params)


def without_seconds(progress: RunProgress) -> RunProgress:
    rows = tuple({**row, "seconds": ""} for row in progress.rows)
    return replace(progress, seconds=0.0, rows=rows)


def final_state(trainer, folder):
    """The newest state in a run's folder by name, and its progress."""
    checkpoints = Checkpoints(folder / "checkpoints")
    with without_pickle():
        state, progress = checkpoints.restore(initial_state(trainer.params, trainer.optimiser))
    checkpoints.close()
    return named_values(state._asdict()), progress


def same_bytes(made, expected) -> None:
    assert made.keys() == expected.keys()
    for name, value in expected.items():
        assert made[name].dtype == value.dtype, name
        assert made[name].tobytes() == value.tobytes(), name


# 8. Saving


@contextmanager
def without_pickle():
    """Let nothing be unpickled."""

    def refuse(*_, **__):
        raise AssertionError("something was unpickled")

    with mock.patch.multiple(pickle, load=refuse, loads=refuse):
        yield


@cache
def small_emulator() -> Emulator:
    """An emulator of two variables with random parameters."""
    names, domain = ("tas", "pr"), case().domain
    normaliser = Normaliser(names, names, (1, 1, 1), (2, 2, 2), (0, 0), (1, 1))
    network = randomised(lambda: new_network(MODEL, domain, normaliser, seed=0))
    return Emulator("small", MODEL, normaliser, domain, named_values(nnx.state(network)))


def predictors() -> xr.Dataset:
    """Three days of what `small_emulator` needs."""
    grid = Grid.regular(2.0, 1.5, REFINED)
    values, time = weather(grid.size), {"time": xr.date_range("2001-03-28", periods=3)}
    units = {"tas": "K", "pr": "mm day-1"}
    fields = (280.0 + values[..., 0], values[..., 1])
    return xr.Dataset(
        {
            name: grid.dataarray(field, name, ("time",), time, {"units": units[name]})
            for name, field in zip(units, fields, strict=True)
        }
    )


def check_saved(emulator, coarse: xr.Dataset, folder) -> None:
    """An emulator that was saved and loaded, without pickle, predicts the same bytes."""
    save(emulator, folder)
    with without_pickle():
        again = load(folder)
    assert again.sha256 == emulator.sha256
    made, expected = again.downscale(coarse), emulator.downscale(coarse)
    xr.testing.assert_identical(made, expected)
    same_bytes({n: v.values for n, v in made.items()}, {n: v.values for n, v in expected.items()})


# 9. Directions


def check_direction(lon: float, lat: float, azimuth: float, angle: float) -> None:
    """A point seen at an azimuth, clockwise from north, lies there in the receiver's frame.

    Args:
        lon, lat: the receiver in degrees.
        azimuth: degrees.
        angle: great-circle distance in degrees.
    """
    phi, turn, far = np.radians(lat), np.radians(azimuth), np.radians(angle)
    # The direct problem on the sphere, by the law of cosines and four-part formula.
    up = np.sin(phi) * np.cos(far) + np.cos(phi) * np.sin(far) * np.cos(turn)
    along = np.sin(turn) * np.sin(far) * np.cos(phi), np.cos(far) - np.sin(phi) * up
    there = lon + np.degrees(np.arctan2(*along)), np.degrees(np.arcsin(np.clip(up, -1.0, 1.0)))
    ends = (lonlat_to_xyz(*place)[None] for place in (there, (lon, lat)))
    made, distance = features.relative_position(*ends, EARTH_RADIUS_KM)
    expected = np.sin(far) * np.sin(turn), np.sin(far) * np.cos(turn), np.cos(far) - 1.0, far
    np.testing.assert_allclose(made[0], expected, atol=FRAME)
    np.testing.assert_allclose(distance, far, atol=FRAME)
