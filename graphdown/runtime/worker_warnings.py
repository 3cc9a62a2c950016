"""Warnings that reach the user from wherever they arise, a worker of a dask cluster too."""

import logging
import sys

logger = logging.getLogger(__name__)


def warn_user(text: str) -> None:
    """Log a warning; from a worker of dask.distributed also send it to the user's session.

    The log of a worker is a file of its own, which few people read.
    """
    logger.warning("%s", text)
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return
    try:
        distributed.get_worker()
    except ValueError:
        return
    distributed.warn(text)
