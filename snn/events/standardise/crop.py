"""Which part of the first frame is the face: a box that stays fixed for the whole video.

Spiking-FER's published text crops around the nose, ``2·⅔·nose`` high and ``2·⅔·eyes`` wide. Taken
literally that height leaves out the brows and cuts the mouth (``spiking-fer-literal``), so it
cannot be what was done. Nose and two thirds of it to either side, ``2·(1 + ⅔)·nose``, reach from
above raised brows to the chin (``spiking-fer``), when the nose is measured from its root to its
base; to its tip only, surprise loses most of the brows. ``eyes`` is read as the distance of the
outer corners: that of the inner ones would be narrower than the mouth. These readings are ours.

>>> PRESETS["spiking-fer"].crop
CropFactors(height_factor=3.3333333333333335, width_factor=1.3333333333333333)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from snn.errors import DatasetError, EventFormatError
from snn.events.landmarks.points import (
    LEFT_EYE_OUTER,
    NOSE_BASE,
    NOSE_ROOT,
    NOSE_TIP,
    RIGHT_EYE_OUTER,
    eye_distance,
)
from snn.events.standardise.alignment import NONE, ROTATION

SMALLEST_BOX_PX = 4.0


@dataclass(frozen=True)
class Box:
    """An upright rectangle of the first frame.

    Parameters
    ----------
    x, y : float
        Its left and upper edge in pixels; the image itself begins at -0.5, as whole numbers are
        the centres of pixels.
    width, height : float
        In pixels.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.width, self.height)
        if not (min(self.width, self.height) >= SMALLEST_BOX_PX and np.isfinite(numbers).all()):
            raise EventFormatError(
                f"a crop of {self.width:.3g}×{self.height:.3g} pixels; at least "
                f"{SMALLEST_BOX_PX:g}×{SMALLEST_BOX_PX:g} are needed: check the landmarks"
            )

    def to_image(self, size: tuple[int, int]) -> np.ndarray:
        """The map from pixels of the frame to pixels of an image of ``(width, height)``.

        Returns
        -------
        ndarray of shape (2, 3), dtype float64
            ``u = (x - box.x)·width/box.width - 0.5``, and ``v`` likewise: edges fall on edges.
        """
        scale_x, scale_y = size[0] / self.width, size[1] / self.height
        return np.array(
            [[scale_x, 0.0, -self.x * scale_x - 0.5], [0.0, scale_y, -self.y * scale_y - 0.5]]
        )


def _centred(centre: np.ndarray, width: float, height: float) -> Box:
    return Box(
        float(centre[0] - width / 2), float(centre[1] - height / 2), float(width), float(height)
    )


@dataclass(frozen=True, kw_only=True)
class CropFactors:
    """A box around the tip of the nose, measured in lengths of the face.

    Parameters
    ----------
    height_factor : float
        Height in lengths of the nose, from its root between the eyes to its base between the
        nostrils.
    width_factor : float
        Width in distances between the outer corners of the eyes.
    """

    height_factor: float
    width_factor: float

    def box(self, points: np.ndarray) -> Box:
        """The box for one frame's points, ``[68, 2]``."""
        nose = np.linalg.norm(points[NOSE_BASE] - points[NOSE_ROOT])
        width = self.width_factor * float(eye_distance(points))
        return _centred(points[NOSE_TIP], width, self.height_factor * float(nose))


@dataclass(frozen=True, kw_only=True)
class FaceSquare:
    """The square around all points.

    Parameters
    ----------
    margin : float
        Added on each side, as a share of the points' larger extent.
    """

    margin: float

    def box(self, points: np.ndarray) -> Box:
        """The box for one frame's points, ``[68, 2]``."""
        low, high = points.min(axis=0), points.max(axis=0)
        side = float((high - low).max()) * (1 + 2 * self.margin)
        return _centred((low + high) / 2, side, side)


@dataclass(frozen=True, kw_only=True)
class EyeSquare:
    """A square that hangs on the eyes, as a face detector's box does.

    Parameters
    ----------
    side_factor : float
        Side in distances between the outer corners of the eyes.
    eye_height : float
        Where the eyes lie in it, as a share of its side from the top.
    """

    side_factor: float
    eye_height: float

    def box(self, points: np.ndarray) -> Box:
        """The box for one frame's points, ``[68, 2]``."""
        side = self.side_factor * float(eye_distance(points))
        eyes = (points[LEFT_EYE_OUTER] + points[RIGHT_EYE_OUTER]) / 2
        eyes_to_centre = np.array([0.0, (0.5 - self.eye_height) * side])
        return _centred(eyes + eyes_to_centre, side, side)


Crop = CropFactors | FaceSquare | EyeSquare | Box


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How a published data set was standardised.

    Parameters
    ----------
    crop : Crop
        Where the box lies.
    align : str
        See ``align_to_first``.
    border_value : int, optional
        Grey value of what lies outside a frame; by default the frame's edge goes on.
    """

    crop: Crop
    align: str = ROTATION
    border_value: int | None = None


TWO_THIRDS = 2 / 3
PRESETS = {
    "spiking-fer": Preset(
        crop=CropFactors(height_factor=2 * (1 + TWO_THIRDS), width_factor=2 * TWO_THIRDS)
    ),
    "spiking-fer-literal": Preset(
        crop=CropFactors(height_factor=2 * TWO_THIRDS, width_factor=2 * TWO_THIRDS)
    ),
    "whole-face": Preset(crop=FaceSquare(margin=0.1)),
    # evTransFER takes the square that a Haar cascade finds, follows no head and pads with zeros.
    # OpenCV's square is 1.5 eye distances wide on a photograph and 2.0 on rendered faces, the
    # eyes at 0.38 and 0.41 of its height; this lies between. ``find_face_box`` is the cascade.
    "evtransfer": Preset(
        crop=EyeSquare(side_factor=1.7, eye_height=0.39), align=NONE, border_value=0
    ),
}


def preset_of(crop: str | Crop) -> Preset:
    """A preset by its name, or a crop of one's own with the defaults of ``Preset``.

    Raises
    ------
    DatasetError
        For an unknown name.
    """
    if not isinstance(crop, str):
        return Preset(crop=crop)
    if crop not in PRESETS:
        raise DatasetError(f"unknown crop {crop!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[crop]


def find_face_box(frame: np.ndarray) -> Box:
    """The face that OpenCV's Haar cascade finds, as evTransFER prepares CK+.

    The largest of the boxes found with ``scaleFactor=1.1, minNeighbors=5``. (evTransFER cuts a
    box that reaches over the right or lower edge of the image and centres what is left; here
    the part outside stays empty and the face in place.)

    Parameters
    ----------
    frame : ndarray of shape (height, width), dtype uint8
        Grey.

    Raises
    ------
    DatasetError
        With OpenCV 5, which has no Haar cascades.
    EventFormatError
        When no face is found.
    """
    faces = _haar_cascade().detectMultiScale(frame, scaleFactor=1.1, minNeighbors=5)
    if not len(faces):
        raise EventFormatError("no face was found in the first frame; give landmarks or a box")
    x, y, width, height = max(faces, key=lambda face: int(face[2]) * int(face[3]))
    side = max(width, height)
    centre = np.array([x + width / 2 - 0.5, y + height / 2 - 0.5])
    return _centred(centre, side, side)


@cache
def _haar_cascade() -> cv2.CascadeClassifier:
    """OpenCV's detector of frontal faces, read once: that takes longer than finding a face."""
    if not hasattr(cv2, "CascadeClassifier"):
        raise DatasetError(
            f"OpenCV {cv2.__version__} has no Haar cascades: install 'opencv-python-headless<5', "
            "or give landmarks or a box"
        )
    folder = Path(cv2.data.haarcascades)  # type: ignore[attr-defined]
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))
