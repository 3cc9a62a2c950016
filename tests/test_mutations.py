"""Each invariant's check notices code that is broken on purpose.

A mutation is one mistake that people make; the check must raise an AssertionError with it, as it
does not without (`test_invariants`).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import graphdown.emulator.storage
from graphdown.emulator.emulator import Emulator
from graphdown.model import Downscaler, edge_tables, message
from graphdown.training import Trainer, train
from graphdown.training.parallel import DataParallel
from graphdown.training.run.checkpoint import Checkpoints
from meshes import Grid
from meshes.graphs import direct_edges, features
from meshes.graphs.builder_registry import EDGE_BUILDERS
from meshes.graphs.builders import kernel_encoder
from meshes.remapping import overlap, remap
from meshes.remapping.sites import Sites

from . import invariants
from .invariants import case, data_on
from .model.conftest import SOURCE
from .training.conftest import COARSE, FINE, OTHER, make_experiment, make_trainer

pytestmark = pytest.mark.usefixtures("compiled_in_haste")
CELLS = SOURCE.select(np.arange(SOURCE.size))
SCATTERED = Grid.from_points(*np.random.default_rng(0).uniform((-8, 36), (20, 56), (150, 2)).T)
ENCODERS = EDGE_BUILDERS["encode"]
ROTATION = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class Mutation(NamedTuple):
    """A mistake and the check that must notice it.

    Attributes:
        invariant: its number in the design.
        mistake: in words.
        owner, name: what is replaced where: an attribute, or an entry of a dictionary.
        mutated: makes the replacement of the original.
        check: called with an empty folder.
        slow: takes more than about ten seconds.
    """

    invariant: int
    mistake: str
    owner: object
    name: str
    mutated: Callable
    check: Callable[[Path], None]
    slow: bool = False


def as_listed(fill):
    return lambda rows, *rest: fill(np.sort(rows), *rest)


def first_five(within):
    def few(*given):
        senders, receivers = within(*given)
        start = np.searchsorted(receivers, receivers)
        kept = np.arange(len(receivers)) - start < 5
        return senders[kept], receivers[kept]

    return few


def in_the_longest_edge(decoder):
    def scaled(nodes):
        edges = decoder.build(nodes)
        return replace(edges, features=edges.features / edges.feature("distance").max())

    return replace(decoder, build=scaled)


def without_areas(encoder):
    def equal(nodes):
        source = replace(nodes.source, area=np.ones(nodes.source.size))
        return encoder.build(replace(nodes, source=source))

    return replace(encoder, build=equal)


def heavy_padding(scatter):
    def filled(values, positions, shapes, flat, padding):
        weights = values.ndim == 1 and np.issubdtype(values.dtype, np.floating)
        return scatter(values, positions, shapes, flat, 1.0 if weights else padding)

    return filled


def with_longitude(encoder):
    def placed(nodes):
        edges = encoder.build(nodes)
        edges.features[:, 0] += nodes.source.lon[edges.senders] / 100.0
        return edges

    return replace(encoder, build=placed)


def seen_from_the_sender(position):
    def other(senders, receivers, unit):
        frame = features.tangent_frame(senders)
        made, distance = position(senders, receivers, unit)
        chord = np.einsum("eij,ej->ei", frame, senders - receivers)
        made[:, :3] = chord * (features.EARTH_RADIUS_KM / unit)
        return made, distance

    return other


def axes_of_the_globe(_):
    return lambda xyz: np.broadcast_to(np.eye(3), (*xyz.shape[:-1], 3, 3))


def swapped(frame):
    return lambda xyz: frame(xyz)[..., [1, 0, 2], :]


def counter_clockwise(frame):
    return lambda xyz: frame(xyz) * np.array([-1.0, 1.0, 1.0])[:, None]


def with_memory_of(nodes):
    def remembering(init):
        def made(network, spec, shape, *, rngs):
            init(network, spec, shape, rngs=rngs)
            network.memory = nnx.Param(jnp.zeros(getattr(shape, nodes)))

        return made

    return remembering


def with_its_source(init):
    def made(trainer, *given):
        init(trainer, *given)
        trainer.params["seen"] = nnx.Param(jnp.zeros(trainer.samples[0].source.shape[1]))

    return made


def mean_of_means(psum):
    return lambda x, axis: jax.lax.pmean(x, axis) if isinstance(x, tuple) else x


def counted_anew(batch):
    started = {}

    def forgetful(trainer, step, share):
        return batch(trainer, step - started.setdefault(id(trainer), step), share)

    return forgetful


def with_a_new_optimiser(restore):
    def lost(checkpoints, template, first=0):
        found = restore(checkpoints, template, first)
        return found and (found[0]._replace(optimiser=template.optimiser), found[1])

    return lost


def in_half_precision(arrays):
    return property(
        lambda self: {n: v.astype(np.float16).astype(v.dtype) for n, v in arrays.fget(self).items()}
    )


def pickle_allowed(_):
    return lambda path: dict(np.load(path, allow_pickle=True))


def unlike_sources(folder):
    for name, grid in (("a", COARSE), ("b", OTHER)):
        invariants.leave_files(folder / name, data_on(grid, FINE))
    invariants.check_free_of(folder / "a", folder / "b")


def unlike_targets(folder):
    for name, grid in (("a", FINE), ("b", OTHER)):
        invariants.leave_files(folder / name, data_on(COARSE, grid))
    invariants.check_free_of(folder / "a", folder / "b")


def going_on(folder):
    """Train to the end, and again with an interruption after the first checkpoint."""
    data, settings = data_on(COARSE, FINE), {"steps": 4, "validate_every": 2}
    for name in ("whole", "cut"):
        experiment = make_experiment(folder / name, data, **settings)
        if name == "cut":
            interrupted(experiment, data, calls=3)
        train(experiment, data)
    trainer = make_trainer(data, **settings)
    invariants.check_same_run(trainer, folder / "cut", folder / "whole")


def interrupted(experiment, data, calls):
    left = iter(range(calls - 1))
    step = DataParallel.__call__

    def counted(*given):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return step(*given)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DataParallel, "__call__", counted)
        train(experiment, data)


def saved(folder):
    fresh = replace(invariants.small_emulator())  # its hash is not yet known
    invariants.check_saved(fresh, invariants.predictors(), folder)


def saved_as_objects(folder):
    savez = np.savez

    def objects(file, **arrays):
        savez(file, **{name: value.astype(object) for name, value in arrays.items()})

    with mock.patch.object(np, "savez", objects):
        saved(folder)


def direction(_):
    invariants.check_direction(10.0, 50.0, azimuth=30.0, angle=2.0)


def splitting(eofs=0, innovations=0):
    return lambda _: invariants.check_split(case(eofs, "linear", innovations), CELLS, seed=1)


MUTATIONS = [
    Mutation(
        *(1, "edges are taken to be sorted", edge_tables, "_fill", as_listed),
        lambda _: invariants.check_order_of_edges(case(), CELLS, seed=1),
    ),
    Mutation(
        *(1, "the first five neighbours", kernel_encoder, "within_radius", first_five),
        lambda _: invariants.check_order_of_source(case(), CELLS, seed=1),
    ),
    Mutation(
        *(
            1,
            "lengths in the longest edge",
            EDGE_BUILDERS["decode"],
            "nearest",
            in_the_longest_edge,
        ),
        lambda _: invariants.check_alone(case(), SOURCE, np.arange(38, 80, 3)),
    ),
    Mutation(
        *(2, "a sum for the mean", ENCODERS, "kernel"),
        *(lambda _: ENCODERS["graphcast"], splitting()),
    ),
    Mutation(2, "no areas", ENCODERS, "kernel", without_areas, splitting()),
    Mutation(
        *(2, "each part has its own spacing", features, "merge_coincident"),
        *(lambda _: lambda xyz: (xyz, np.arange(len(xyz))), splitting()),
    ),
    Mutation(
        *(2, "each part is an observation", Sites, "shares"),
        *(lambda _: lambda sites: np.ones(sites._n_source), splitting(6)),
    ),
    Mutation(
        *(1, "the first five direct edges", direct_edges, "within_radius", first_five),
        lambda _: invariants.check_order_of_source(case(0, "linear", 2), CELLS, seed=1),
    ),
    Mutation(
        *(2, "each part has a cell of its own", remap, "merge_coincident"),
        *(lambda _: lambda xyz: (xyz, np.arange(len(xyz))), splitting(0, 2)),
    ),
    Mutation(
        *(2, "cells are drawn by the parts' areas", overlap, "_spacing_km"),
        lambda _: lambda grid: grid.spacing_km,
        lambda _: invariants.check_split(case(0, "linear", 2), SCATTERED, seed=0),
    ),
    Mutation(
        *(3, "the sender's frame in direct edges", direct_edges, "relative_position"),
        seen_from_the_sender,
        lambda _: invariants.check_rotation_of_direct_edges(CELLS, ROTATION),
    ),
    Mutation(
        *(2, "padding carries weight", edge_tables, "_scatter", heavy_padding),
        lambda _: invariants.check_padding(case(), SOURCE),
    ),
    Mutation(
        *(3, "longitude as a feature", ENCODERS, "kernel", with_longitude),
        lambda _: invariants.check_whole_turns(case(), CELLS, turns=1),
    ),
    Mutation(
        *(3, "axes of the globe", features, "tangent_frame", axes_of_the_globe),
        lambda _: invariants.check_turn(case(), CELLS, 131.0),
    ),
    Mutation(
        *(3, "the sender's frame", kernel_encoder, "relative_position", seen_from_the_sender),
        lambda _: invariants.check_rotation(CELLS, ROTATION),
    ),
    Mutation(
        *(4, "a sum for the mean", ENCODERS, "kernel"),
        lambda _: ENCODERS["graphcast"],
        lambda _: invariants.check_refinement(case(), seed=0),
    ),
    Mutation(
        *(4, "the spacing itself", invariants, "with_spacing_offset"),
        lambda _: lambda arrays, offset: arrays,
        lambda _: invariants.check_refinement(case(), seed=0),
    ),
    Mutation(
        *(4, "cells share one observation", Sites, "shares"),
        lambda _: lambda sites: np.full(sites._n_source, 1.0 / sites._n_source),
        lambda _: invariants.check_refinement_of_modes(seed=0),
    ),
    Mutation(5, "it keeps its source", Trainer, "__init__", with_its_source, unlike_sources),
    Mutation(
        *(5, "it keeps its target", Downscaler, "__init__", with_memory_of("target_nodes")),
        unlike_targets,
    ),
    Mutation(
        *(6, "a wrong slope", message, "_silu_slope", lambda _: jax.nn.sigmoid),
        *(lambda _: invariants.check_fast_path(), True),
    ),
    Mutation(
        *(6, "the last edge is lost", message, "sum_over_width"),
        lambda original: lambda term, width: original(term, max(width - 1, 1)),
        *(lambda _: invariants.check_fast_path(), True),
    ),
    Mutation(
        *(7, "a mean of the shares' means", jax.lax, "psum", mean_of_means),
        *(lambda _: invariants.check_shares(invariants.trainer_with_gaps()), True),
    ),
    Mutation(7, "random state is lost", Trainer, "batch", counted_anew, going_on, True),
    Mutation(
        7, "the moments are lost", Checkpoints, "restore", with_a_new_optimiser, going_on, True
    ),
    Mutation(8, "half precision", Emulator, "arrays", in_half_precision, saved),
    Mutation(
        *(8, "pickle is allowed", graphdown.emulator.storage, "read_arrays", pickle_allowed),
        saved_as_objects,
    ),
    Mutation(9, "east and north swapped", features, "tangent_frame", swapped, direction),
    Mutation(
        *(9, "azimuths counter-clockwise", features, "tangent_frame", counter_clockwise),
        direction,
    ),
    Mutation(
        *(9, "the sender's frame", features, "relative_position", seen_from_the_sender),
        direction,
    ),
]


def test_every_invariant_has_a_mutation():
    assert {mutation.invariant for mutation in MUTATIONS} == set(range(1, 10))


@pytest.mark.parametrize(
    "mutation",
    [
        pytest.param(
            mutation,
            id=f"{mutation.invariant}, {mutation.mistake}",
            marks=[pytest.mark.slow] if mutation.slow else [],
        )
        for mutation in MUTATIONS
    ],
)
def test_a_mutation_is_noticed(mutation, monkeypatch, tmp_path):
    invariants.most_padded()  # made by the code as it is
    case(), case(6)
    if isinstance(mutation.owner, dict):
        mutated = mutation.mutated(mutation.owner[mutation.name])
        monkeypatch.setitem(mutation.owner, mutation.name, mutated)
    else:
        mutated = mutation.mutated(getattr(mutation.owner, mutation.name))
        monkeypatch.setattr(mutation.owner, mutation.name, mutated)
    with pytest.raises(AssertionError):
        mutation.check(tmp_path)


@pytest.mark.slow
def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    going_on(tmp_path)
