"""Mean and spread of the channels of TIE images, to compare with the published ones.

>>> PUBLISHED_STATISTICS["t_t"].mean
(0.1065, 0.2633, 0.06)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from snn.errors import EventFormatError


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of red, green and blue."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# Of the cropped images of e-CK+, both parts: ``vit_train_tie.py`` of
# uoh-rislab/event-based_facial_expression_recognition.
PUBLISHED_STATISTICS = {
    "t_t": ChannelStatistics((0.1065, 0.2633, 0.0600), (0.1305, 0.1285, 0.1172)),
    "t_t0": ChannelStatistics((0.0457, 0.0467, 0.0490), (0.1154, 0.1147, 0.1098)),
    "t0_t": ChannelStatistics((0.0961, 0.2531, 0.0532), (0.1194, 0.1199, 0.1106)),
    "t0_t0": ChannelStatistics((0.0406, 0.0468, 0.0479), (0.1099, 0.1100, 0.1055)),
}


def channel_statistics(images: Iterable[np.ndarray]) -> ChannelStatistics:
    """Means over images of each image's channel mean and of its sample standard deviation.

    The second is smaller than the deviation of all pixels together; it is how
    ``get_norm_dataset.py`` of the authors computes it.

    Parameters
    ----------
    images : iterable of ndarray, shape (3, H, W)
        In [0, 1]; an array ``[N, 3, H, W]`` is one. Read once.

    Raises
    ------
    EventFormatError
        Without images, or with images of less than two pixels.
    """
    means, stds = [], []
    for image in images:
        pixels = np.asarray(image, np.float64).reshape(3, -1)
        if pixels.shape[1] < 2:
            raise EventFormatError("statistics of an image need at least two pixels")
        means.append(pixels.mean(1))
        stds.append(pixels.std(1, ddof=1))
    if not means:
        raise EventFormatError("there are no images to make statistics of")
    mean, std = np.mean(means, axis=0), np.mean(stds, axis=0)
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))
