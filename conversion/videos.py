"""The video frames that go with windows of events: drawn again, or from the folder of CK+.

Window k holds the events between two video frames, the later one of which is its picture: what
the face looks like at the window's end. The frame list of e-CK+ counts so too: its authors leave
out the first video frame and number the others from 0, so that frame k of the list is image
k + 2 of CK+ (whose files count from 1) and window k, which ends there, is its partner. Source:
uoh-rislab/event-based_facial_expression_recognition, ``pre-process-ck+/1_from_video_to_frames.py``
and ``utils/pre-process-e-ck+/2b_from_numpy_to_numpys.py``. That their videos hold the images of
CK+ one by one is inferred.

>>> RenderedVideos(RenderedFaces("faces.h5"), frame_rate_hz=30.0)(0, np.array([3])).frames[0].shape
(64, 64)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from conversion.images import Pictures, Shares
from snn.errors import DatasetError, EventFormatError
from snn.events.camera import CameraParameters
from snn.events.datasets import ECKPlus, RenderedFaces
from snn.events.faces import FaceSetParameters, clip_frames, clip_keys, render_clip
from snn.events.standardise.crop import find_face_box

FIRST_IMAGE = 2  # the image of CK+ that is frame 0 of the list
MOST_PIXELS = 1 << 24  # of an image of CK+: they are 640×490 or 640×480


class RenderedVideos:
    """The frames of rendered clips, drawn again from the parameters in their file.

    Parameters
    ----------
    dataset : RenderedFaces
    frame_rate_hz : float
        Window k of a clip ends at ``(k + 1) / frame_rate_hz``.

    Raises
    ------
    DatasetError
        When the file's clips are not those that its parameters give, with this version.
    """

    def __init__(self, dataset: RenderedFaces, *, frame_rate_hz: float) -> None:
        self.frame_rate_hz = frame_rate_hz
        self.parameters = _parameters(dataset)
        self._keys = [
            key for split in dataset.events.splits for key in clip_keys(self.parameters, split)
        ]
        self._check(dataset)

    def __call__(self, index: int, numbers: np.ndarray) -> Pictures:
        """The frames of some windows of a clip."""
        subject, label, take = self._keys[index]
        times_us = np.round((numbers + 1) * 1e6 / self.frame_rate_hz).astype(np.int64)
        frames = clip_frames(
            self.parameters, subject=subject, label=label, take=take, times_us=times_us
        )
        return Pictures(list(frames), None)

    def _check(self, dataset: RenderedFaces) -> None:
        found = [
            (int(subject), int(label))
            for table in dataset.events.splits.values()
            for subject, label in zip(table.subjects, table.labels, strict=True)
        ]
        if found != [key[:2] for key in self._keys]:
            raise DatasetError(
                f"{dataset.root}: subjects and classes are not in the order in which its "
                "parameters render them; render it again with 'spikeface faces'"
            )
        subject, label, take = self._keys[0]
        again = render_clip(self.parameters, subject=subject, label=label, take=take)
        if not np.array_equal(again.recording.events, dataset.recording(0).events):
            raise DatasetError(
                f"{dataset.root}: its first clip is not what this version renders, so its video "
                "cannot be drawn again; render the set again with 'spikeface faces'"
            )


class CKVideos:
    """The images of CK+ for recordings of e-CK+, with the face box of each sequence.

    The box is that of the first frame of the list's numbering, for the whole sequence.

    Parameters
    ----------
    dataset : ECKPlus
    root : str or Path
        Folder that holds ``S005/001/S005_001_00000001.png`` (``cohn-kanade-images``).

    Raises
    ------
    DatasetError
        When there is no such folder.
    """

    def __init__(self, dataset: ECKPlus, root: str | Path) -> None:
        self.root = Path(root)
        self._names = [sample.name for sample in dataset.samples]
        if not self.root.is_dir():
            raise DatasetError(
                f"{self.root}: there is no such folder; data.videos is the folder of CK+ that "
                "holds S005/001/S005_001_00000001.png"
            )

    def __call__(self, index: int, numbers: np.ndarray) -> Pictures:
        """The images of some windows of a sequence."""
        name = self._names[index]
        return Pictures([self._image(name, int(k)) for k in numbers], self.box(index))

    def box(self, index: int) -> Shares:
        """Where the face of a sequence is."""
        name = self._names[index]
        first = self._image(name, 0)
        try:
            box = find_face_box(first)
        except EventFormatError as error:
            raise DatasetError(f"{self._path(name, 0)}: {error}") from None
        height, width = first.shape
        return (
            (box.x + 0.5) / width,
            (box.y + 0.5) / height,
            box.width / width,
            box.height / height,
        )

    def _path(self, name: str, k: int) -> Path:
        subject, sequence = name.split("_")
        return self.root / subject / sequence / f"{name}_{k + FIRST_IMAGE:08d}.png"

    def _image(self, name: str, k: int) -> np.ndarray:
        path = self._path(name, k)
        try:
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DatasetError(
                        f"{path}: {image.width}×{image.height} pixels, at most {MOST_PIXELS:,} "
                        "are allowed; is it an image of CK+?"
                    )
                return np.asarray(image.convert("L"))
        except FileNotFoundError:
            raise DatasetError(
                f"{path}: there is no such image, it belongs to frame {k} of the list"
            ) from None
        except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
            raise DatasetError(f"{path}: not readable as an image ({error})") from None


def _parameters(dataset: RenderedFaces) -> FaceSetParameters:
    """What a file of faces was rendered with."""
    table: dict[str, Any] = dict(dataset.events.parameters)
    try:
        camera = CameraParameters(**table.pop("camera"))
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        return FaceSetParameters(camera=camera, **plain)
    except (TypeError, KeyError) as error:
        raise DatasetError(
            f"{dataset.root}: its parameters are those of another version ({error}); render it "
            "again with 'spikeface faces'"
        ) from None
