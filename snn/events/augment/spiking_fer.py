"""The training pipeline of Spiking-FER: events are augmented, become frames, are augmented again.

    flip → background_activity → reverse → (flip_polarity) → event_drop
         → SpikingFERFrames at the sensor's size → crop to 128 px → face_reflection

The paper's best set is all but flip_polarity. Validation takes ``SpikingFERFrames()`` alone.

>>> SpikingFERAugmentation()(recording, np.random.default_rng(0)).shape
(6, 2, 128, 128)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from snn.events.augment.events import (
    BackgroundActivity,
    EventAugmentation,
    EventDrop,
    FlipLeftRight,
    FlipPolarity,
    Reverse,
)
from snn.events.augment.frames import (
    FaceReflection,
    FrameAugmentation,
    RandomResizedCrop,
    ResizeNearest,
)
from snn.events.frames.representations import SpikingFERFrames
from snn.events.recording import Recording

EVENT_NAMES = ("flip", "background_activity", "reverse", "flip_polarity", "event_drop")
FRAME_NAMES = ("crop", "face_reflection")
BEST_SET = ("flip", "background_activity", "reverse", "event_drop", "crop", "face_reflection")


@dataclass(frozen=True, kw_only=True)
class SpikingFERAugmentation:
    """From a recording to augmented frames, in the published order.

    Parameters
    ----------
    published : bool
        Keep the quirks of the published code, see `BackgroundActivity` and `EventDrop`.
    names : tuple of str
        Which augmentations run, from `EVENT_NAMES` and `FRAME_NAMES`; their order is fixed. Without
        ``"crop"`` frames are resized as a whole.
    representation : SpikingFERFrames
        Its `size` is that of the result.

    Raises
    ------
    ValueError
        For a name that is not known, or a representation without a size.
    """

    published: bool = True
    names: tuple[str, ...] = BEST_SET
    representation: SpikingFERFrames = field(default_factory=SpikingFERFrames)

    def __post_init__(self) -> None:
        unknown = set(self.names) - {*EVENT_NAMES, *FRAME_NAMES}
        if unknown:
            raise ValueError(
                f"no augmentation is called {', '.join(sorted(unknown))}; "
                f"there are {', '.join(EVENT_NAMES + FRAME_NAMES)}"
            )
        if self.representation.size is None:
            raise ValueError("the representation needs a size: that of the augmented frames")

    def __call__(self, recording: Recording, rng: np.random.Generator) -> np.ndarray:
        """Augmented frames.

        Returns
        -------
        ndarray of uint8 in {0, 1}, shape (n_frames, 2, height, width)
        """
        events = recording.events
        for change_events in self.event_steps():
            events = change_events(events, recording.sensor_size, rng)
        changed = Recording(events, recording.sensor_size, recording.source)
        frames = replace(self.representation, size=None)(changed)
        for change_frames in self.frame_steps():
            frames = change_frames(frames, rng)
        return frames

    def event_steps(self) -> list[EventAugmentation]:
        """The augmentations before the representation."""
        steps: dict[str, EventAugmentation] = {
            "flip": FlipLeftRight(),
            "background_activity": BackgroundActivity(published=self.published),
            "reverse": Reverse(),
            "flip_polarity": FlipPolarity(),
            "event_drop": EventDrop(published=self.published),
        }
        return [step for name, step in steps.items() if name in self.names]

    def frame_steps(self) -> list[FrameAugmentation]:
        """The augmentations after the representation; the first one gives the frames their size."""
        size = self.representation.size or (0, 0)
        cropped = "crop" in self.names
        steps: list[FrameAugmentation] = [
            RandomResizedCrop(size=size) if cropped else ResizeNearest(size=size)
        ]
        if "face_reflection" in self.names:
            steps.append(FaceReflection())
        return steps
