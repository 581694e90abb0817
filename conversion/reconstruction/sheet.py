"""Examples side by side: the TIE image, the face made from it, the true face.

>>> sample_sheet(generator, validation, [0, 40, 80]).shape
(3, 3, 64, 64, 3)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from conversion.pix2pix import Generator
from conversion.reconstruction.pairs import ImagePairs


@torch.no_grad()
def sample_sheet(generator: Generator, pairs: ImagePairs, indices: Sequence[int]) -> np.ndarray:
    """Some pairs and what the generator, in evaluation mode, makes of them.

    Returns
    -------
    ndarray of uint8, shape (n, 3, S, S, 3)
        A row for each index: TIE image, made face, true face; colours last.
    """
    generator.eval()
    a, b = pairs.batch(indices)
    made = generator(a.to(next(generator.parameters()).device)).cpu()
    sheet = torch.stack([a, made, b], dim=1).permute(0, 1, 3, 4, 2)
    return ((sheet + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
