"""The training of the face-reconstruction network, whose encoder is transferred afterwards.

`config` says how, `pairs` holds TIE images and faces, `loop` trains and goes on after a kill,
`statistics` makes norms fit the weights, `checkpoint` is what it goes on from, `metrics` says what
an epoch was like, `sheet` shows examples.
"""

from conversion.reconstruction.config import ReconstructionConfig
from conversion.reconstruction.loop import encoder_path, train_reconstruction
from conversion.reconstruction.metrics import (
    ReconstructionMetrics,
    evaluate_reconstruction,
    mean_face_quality,
)
from conversion.reconstruction.pairs import ImagePairs
from conversion.reconstruction.sheet import sample_sheet

__all__ = [
    "ImagePairs",
    "ReconstructionConfig",
    "ReconstructionMetrics",
    "encoder_path",
    "evaluate_reconstruction",
    "mean_face_quality",
    "sample_sheet",
    "train_reconstruction",
]
