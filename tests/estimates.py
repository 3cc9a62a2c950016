"""What EOFs make of a source: by the device, and written once more in NumPy."""

import numpy as np
import xarray as xr

from graphdown.emulator.domain import TargetDomain
from graphdown.model.arrays import interpolation, most_donors
from graphdown.model.optimal_interpolation import LeftOut, estimate
from meshes import GraphSpec, bilinear
from meshes.geometry.sphere import EARTH_RADIUS_KM


def on_device(eofs, grid, target, values, left_out=None):
    """Return the device's estimates [time, Nt, T] from values [time, Ns, V] of a grid.

    `left_out`, if given, holds the own values, truth and share of training days to leave out.
    """
    weights = bilinear(grid, target)
    patterns = TargetDomain(target, xr.Dataset(), GraphSpec(), eofs).patterns()
    known = eofs.observation(grid), patterns, eofs.columns
    to_target = interpolation(weights, most_donors(weights))
    if left_out is not None:
        left_out = LeftOut(*map(by_node, left_out[:2]), left_out[2])
    return np.swapaxes(np.asarray(estimate(by_node(values), *known, to_target, left_out)), 0, 1)


def by_node(values):
    return np.swapaxes(values, 0, 1).astype(np.float32)


def by_eofs(eofs, grid, target, values):
    """Return the estimates [time, Nt, T] from values [time, Ns, V] of a grid."""
    weights = eofs.weights(grid)
    used = np.unique(weights.rows)
    means, mean = (of_all[used] for of_all in eofs.seen_from(weights))
    anomalies = values[:, used] - mean
    flat, seen = means.reshape(-1, means.shape[-1]), anomalies / eofs.scale
    to_target = bilinear(grid, target).matrix()
    covered = to_target @ np.isin(np.arange(grid.size), used)
    columns = []
    spacing = EARTH_RADIUS_KM * np.sqrt(grid.area[used].mean())
    noises = eofs.noise_at(spacing)
    for t, (noise, column) in enumerate(zip(noises, eofs.columns, strict=True)):
        square = flat.T @ flat + noise * np.eye(flat.shape[1])
        amplitudes = np.linalg.solve(square, flat.T @ seen.reshape(len(values), -1).T).T
        made = amplitudes @ eofs.target_patterns[..., t] + eofs.target_mean[:, t]
        if column < len(eofs.scale):
            left = np.zeros((len(values), grid.size))
            explained = amplitudes @ means[:, column].T * eofs.scale[column]
            left[:, used] = anomalies[..., column] - explained
            back = (to_target @ left.T).T
            made += np.divide(back, covered, out=np.zeros_like(back), where=covered > 1e-3)
        columns.append(made)
    return np.stack(columns, axis=-1)
