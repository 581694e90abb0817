"""A video of a face to one with the head held still, the face cropped, grey, at one size.

Each frame is resampled once, by the map ``M = C·A`` from its own pixels: ``A`` puts the head where
it was in the first frame (``alignment``), ``C`` takes the first frame's box to the output
(``crop``). Where the output is coarser than the frame, an output pixel is the mean of k×k
samples, ``k = ⌈frame pixels per output pixel⌉``, as area interpolation does.

Colour becomes grey (ITU-R BT.601) before the warp: both are weighted sums, so only rounding
differs from v2e's order, and a third of the work remains.

>>> plan = plan_standardise(landmarks, crop="spiking-fer", size=(200, 200))
>>> for frame in plan.apply(frames):        # any iterable: a long video needs no memory
...     frame.shape
(200, 200)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from snn.errors import DatasetError, EventFormatError
from snn.events.landmarks import check_landmarks
from snn.events.standardise.alignment import align_to_first, compose, transform
from snn.events.standardise.crop import Box, Crop, preset_of

LARGEST_SIDE = 4096
MOST_SAMPLES = 16  # per output pixel and direction


@dataclass(frozen=True)
class StandardisePlan:
    """What happens to each frame of one video.

    Parameters
    ----------
    matrices : ndarray of shape (n_frames, 2, 3), dtype float64
        From pixels of a frame to pixels of the output.
    landmarks : ndarray of shape (n_frames, 68, 2), dtype float64
        In pixels of the output.
    box : Box
        The crop, in pixels of the first frame.
    size : tuple of int
        ``(width, height)`` of the output.
    border_value : int, optional
        Grey value outside the frames; None goes on with the frame's edge.
    """

    matrices: np.ndarray
    landmarks: np.ndarray
    box: Box
    size: tuple[int, int]
    border_value: int | None

    def apply(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Standardise frames one by one.

        Parameters
        ----------
        frames : iterable of ndarray of shape (height, width) or (height, width, 3), dtype uint8
            Grey or RGB, all of one size.

        Yields
        ------
        ndarray of shape (size[1], size[0]), dtype uint8

        Raises
        ------
        EventFormatError
            For frames of another shape or dtype, of different sizes, or more or fewer of them
            than landmarks.
        """
        shape, count = None, 0
        for count, frame in enumerate(frames, 1):
            grey = _grey(frame, count - 1)
            if shape is None:
                shape = grey.shape
                check_landmarks(self._original_landmarks(), image_size=(shape[1], shape[0]))
            if grey.shape != shape:
                raise EventFormatError(
                    f"frame {count - 1} is {grey.shape[1]}×{grey.shape[0]} pixels, the first was "
                    f"{shape[1]}×{shape[0]}; frames of one video have one size"
                )
            if count > len(self.matrices):
                break
            yield _warp(grey, self.matrices[count - 1], self.size, self.border_value)
        if count != len(self.matrices):
            found = f"more than {len(self.matrices)}" if count > len(self.matrices) else count
            raise EventFormatError(
                f"{found} frames for the landmarks of {len(self.matrices)}; "
                "give landmarks for each frame of the video"
            )

    def _original_landmarks(self) -> np.ndarray:
        linear, shift = self.matrices[:, :, :2], self.matrices[:, None, :, 2]
        return (self.landmarks - shift) @ np.swapaxes(np.linalg.inv(linear), 1, 2)


@dataclass(frozen=True)
class Standardised:
    """A standardised video.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, height, width), dtype uint8
    matrices : ndarray of shape (n_frames, 2, 3), dtype float64
        From pixels of the original frames to those of `frames`.
    landmarks : ndarray of shape (n_frames, 68, 2), dtype float64
        In pixels of `frames`.
    box : Box
        The crop, in pixels of the first original frame.
    """

    frames: np.ndarray
    matrices: np.ndarray
    landmarks: np.ndarray
    box: Box


def plan_standardise(
    landmarks: np.ndarray,
    *,
    crop: str | Crop = "spiking-fer",
    size: tuple[int, int] = (200, 200),
    align: str | None = None,
    border_value: int | None = None,
) -> StandardisePlan:
    """Decide from the landmarks alone what happens to each frame.

    Parameters
    ----------
    landmarks : ndarray of shape (n_frames, 68, 2)
        In pixels, complete (``fill_gaps``).
    crop : str or Crop
        Name in ``PRESETS``, factors of one's own, or a ``Box`` of the first frame.
    size : tuple of int
        ``(width, height)`` of the output.
    align : str, optional
        ``none``, ``rotation`` or ``similarity``, see ``align_to_first``; default the preset's,
        or ``rotation``.
    border_value : int, optional
        Grey value where the output shows what lies outside a frame; default the preset's, or
        that of the frame's nearest pixel. Where frames are turned and shifted, any other value
        draws an edge that moves, and so makes events.

    Returns
    -------
    StandardisePlan

    Raises
    ------
    EventFormatError
        For landmarks that are incomplete or no face's.
    DatasetError
        For an unknown crop or alignment, or an unusable size or border value.
    """
    _check_output(size, border_value)
    landmarks = check_landmarks(landmarks)
    if np.isnan(landmarks).any():
        raise EventFormatError("landmarks of some frames are missing; fill_gaps completes them")
    preset = preset_of(crop)
    box = preset.crop if isinstance(preset.crop, Box) else preset.crop.box(landmarks[0])
    motion = align_to_first(landmarks, preset.align if align is None else align)
    matrices = compose(box.to_image(size), motion)
    border_value = preset.border_value if border_value is None else border_value
    return StandardisePlan(matrices, transform(landmarks, matrices), box, size, border_value)


def standardise(
    frames: np.ndarray,
    landmarks: np.ndarray,
    *,
    crop: str | Crop = "spiking-fer",
    size: tuple[int, int] = (200, 200),
    align: str | None = None,
    border_value: int | None = None,
) -> Standardised:
    """Standardise a video that lies in memory; ``plan_standardise`` takes one frame by frame.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, height, width) or (n_frames, height, width, 3), uint8
        Grey or RGB.
    landmarks, crop, size, align, border_value
        See ``plan_standardise``.

    Returns
    -------
    Standardised

    Raises
    ------
    EventFormatError, DatasetError
        See ``plan_standardise`` and ``StandardisePlan.apply``.
    """
    plan = plan_standardise(landmarks, crop=crop, size=size, align=align, border_value=border_value)
    standard = np.stack(list(plan.apply(frames)))
    return Standardised(standard, plan.matrices, plan.landmarks, plan.box)


def write_standardised(
    frames: Iterable[np.ndarray], plan: StandardisePlan, folder: str | Path
) -> int:
    """Write a standardised video as ``00000.png``, ``00001.png``, ... into a new folder.

    The folder appears when all frames are in it, or not at all.

    Parameters
    ----------
    frames : iterable of ndarray of shape (height, width) or (height, width, 3), dtype uint8
        Grey or RGB.
    plan : StandardisePlan
        From ``plan_standardise``.
    folder : str or Path
        Must not exist yet.

    Returns
    -------
    int
        Number of frames written.

    Raises
    ------
    DatasetError
        When the folder exists or cannot be written.
    EventFormatError
        See ``StandardisePlan.apply``.
    """
    folder = Path(folder)
    if folder.exists():
        raise DatasetError(f"{folder}: exists already; choose another name or remove it")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        count = 0
        for frame in plan.apply(frames):
            (temporary / f"{count:05d}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
            count += 1
        temporary.rename(folder)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count


def _check_output(size: tuple[int, int], border_value: int | None) -> None:
    if not all(1 <= side <= LARGEST_SIDE for side in size):
        raise DatasetError(
            f"the output must be 1 to {LARGEST_SIDE} pixels each way, got {size[0]}×{size[1]}"
        )
    if border_value is not None and not 0 <= border_value <= 255:
        raise DatasetError(f"border_value must be a grey value, 0 to 255, got {border_value}")


def _grey(frame: np.ndarray, index: int) -> np.ndarray:
    if frame.dtype == np.uint8 and frame.ndim == 2:
        return frame
    if frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3:
        return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    raise EventFormatError(
        f"frame {index}: expected uint8 of shape (height, width) or (height, width, 3), "
        f"got {frame.dtype} of shape {frame.shape}"
    )


def _warp(
    grey: np.ndarray, matrix: np.ndarray, size: tuple[int, int], border_value: int | None
) -> np.ndarray:
    """One frame under one affine map, with a mean over what an output pixel covers."""
    # Output pixels per frame pixel along the output's axes: the box is upright but for the roll.
    scale = np.linalg.norm(matrix[:, :2], axis=1)
    k_x, k_y = np.clip(np.ceil(1 / scale - 1e-9), 1, MOST_SAMPLES).astype(int)
    # Sample (i + 0.5)/k - 0.5 of each output pixel lies at pixel i of an output k times as large.
    fine = np.array([[k_x, 0, (k_x - 1) / 2], [0, k_y, (k_y - 1) / 2]], np.float64)
    warped = cv2.warpAffine(
        grey,
        compose(fine, matrix),
        (size[0] * k_x, size[1] * k_y),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if border_value is None else cv2.BORDER_CONSTANT,
        borderValue=(border_value or 0,),
    )
    return warped if k_x == k_y == 1 else cv2.resize(warped, size, interpolation=cv2.INTER_AREA)
