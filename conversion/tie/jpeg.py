"""What a picture looks like after it was kept as a JPEG file, as evTransFER keeps all of its.

>>> through_jpeg(np.zeros((3, 8, 8), np.uint8)).shape
(3, 8, 8)
"""

from __future__ import annotations

import cv2
import numpy as np

QUALITY = 95  # OpenCV's default, and what the pairs of the GAN are written with


def through_jpeg(image: np.ndarray) -> np.ndarray:
    """Encode with OpenCV at quality 95, colour at half the resolution as it does, and decode.

    Parameters
    ----------
    image : ndarray of uint8, shape (3, H, W) or (H, W)
        Red, green, blue; or grey.

    Returns
    -------
    ndarray of uint8, same shape
    """
    grey = image.ndim == 2
    picture = image if grey else cv2.cvtColor(image.transpose(1, 2, 0), cv2.COLOR_RGB2BGR)
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    decoded = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    if grey:
        return decoded
    return np.ascontiguousarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).transpose(2, 0, 1))
