"""A short training on rendered faces sees more in the events than the mean face says."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from conversion.reconstruction import (
    ImagePairs,
    ReconstructionConfig,
    mean_face_quality,
    train_reconstruction,
)
from snn.events.faces import FaceSetParameters, render_clip
from snn.events.faces.parameters import CAMERAS

# Heads that move: a face that keeps still makes no events, and nothing can be told from none.
FACES = FaceSetParameters(
    duration_ms=300,
    position_jitter_px=8.0,
    head_motion_range_px=(1.5, 3.0),
    turn_motion_deg=4.0,
    light_slope=0.0,
    backgrounds=("plain",),
    camera=CAMERAS["clean"],
)


def moving_faces(subjects):
    """Windows of 1/30 s, events counted by polarity, and the frame in the middle; 32 pixels."""
    images, frames = [], []
    for subject in subjects:
        label = subject % len(FACES.classes)
        clip = render_clip(FACES, subject=subject, label=label, take=0, keep_frames=True)
        windows = np.floor(clip.recording.events["t"] * 30e-6 + 0.5)
        for k in (2, 4, 6, 8):
            events = clip.recording.events[windows == k]
            image = np.zeros((3, 32, 32), np.float32)
            np.add.at(image, (events["p"].astype(int), events["y"] // 2, events["x"] // 2), 0.25)
            images.append(np.minimum(image, 1).astype(np.float16))
            frame = clip.frames[np.abs(clip.frame_times_us - k / 30 * 1e6).argmin()]
            frames.append(frame.reshape(32, 2, 32, 2).mean((1, 3)).astype(np.uint8))
    return ImagePairs(np.stack(images), np.stack(frames))


@pytest.mark.slow
def test_faces_never_seen_are_drawn_better_than_the_mean_face(tmp_path):
    training, unseen = moving_faces(range(100)), moving_faces(range(1000, 1024))
    config = ReconstructionConfig(width=8, epochs=4, batch_size=8, learning_rate=1e-3)
    _, history = train_reconstruction(
        training,
        unseen,
        config,
        size=32,
        checkpoint=tmp_path / "checkpoint.pt",
        encoders=tmp_path,
    )
    mean_face = mean_face_quality(training, unseen)
    assert history[-1].ssim > mean_face["ssim"] + 0.05
    assert history[-1].ncc > mean_face["ncc"] + 0.08
    # Pixels lie in [-1, 1] while training, in [0, 1] where quality is measured.
    assert history[-1].l1 < 0.9 * 2 * mean_face_quality(training, training)["mae"]
