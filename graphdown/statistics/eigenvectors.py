"""Leading eigenvectors of a matrix that is known by its products with a few vectors at a time."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh, qr

OVERSAMPLES = 20
TOLERANCE = 1e-8  # of the residuals, in units of the largest eigenvalue
MOST_BLOCKS = 4  # that are kept before the space starts anew from the best vectors
MOST_PRODUCTS = 40
LEAST = 1e-8  # part of a vector that is new: below is rounding

Product = Callable[[np.ndarray], np.ndarray]


def leading_eigenvectors(product: Product, size: int, count: int, seed: int) -> np.ndarray:
    """Leading eigenvectors [size, count] of a symmetric positive semidefinite matrix.

    Block Krylov iteration from random vectors, with Rayleigh-Ritz and thick restarts (Musco and
    Musco 2015, arXiv 1504.05477; Saad 2011, Numerical Methods for Large Eigenvalue Problems). A
    matrix of little more than twice as many rows as vectors are wanted is decomposed as it is.

    Args:
        product: the matrix times vectors [size, any].
        size: rows of the matrix.
        count: number of eigenvectors.
        seed: of the random vectors.
    """
    width = min(count + OVERSAMPLES, size)
    if size <= 2 * width:
        _, vectors = eigh(product(np.eye(size)), subset_by_index=(size - count, size - 1))
        return np.asarray(vectors[:, ::-1])
    block = np.random.default_rng(seed).standard_normal((size, width))
    basis = products = np.empty((size, 0))
    for _ in range(MOST_PRODUCTS):
        block = _new_directions(block, basis)
        basis = np.concatenate([basis, block], axis=1)
        products = np.concatenate([products, product(block)], axis=1)
        values, rotation = eigh(basis.T @ products)
        rotation = rotation[:, ::-1][:, :width]
        vectors, images = basis @ rotation, products @ rotation
        block = images - vectors * values[::-1][:width]
        residuals = np.linalg.norm(block, axis=0)
        if residuals[:count].max() <= TOLERANCE * values[-1] or basis.shape[1] == size:
            break
        if basis.shape[1] > MOST_BLOCKS * width:
            basis, products = vectors, images
    return np.asarray(vectors[:, :count])


def _new_directions(block: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Orthonormal vectors of a block's space without that of a basis."""
    for _ in range(2):  # once leaves rounding
        block = block / np.maximum(np.linalg.norm(block, axis=0), np.finfo(float).tiny)
        block, triangle, _ = qr(block - basis @ (basis.T @ block), mode="economic", pivoting=True)
        block = block[:, np.abs(np.diag(triangle)) > LEAST]
    return block
