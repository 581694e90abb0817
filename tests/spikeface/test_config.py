"""Configuration files: what is read back, and what is refused with the nearest key."""

import pytest

from snn.events.faces import face_set
from snn.training import EventAugmentConfig
from spikeface.config import CONFIGS, Config, load_config, load_run_config, to_toml
from spikeface.errors import ConfigError


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path):
    load_run_config(path)


def test_written_configuration_reads_back_equal(tmp_path):
    config = load_config(None, ["training.epochs=3", "faces.camera.pos_thres=0.3"])
    (tmp_path / "c.toml").write_text(to_toml(config))
    assert load_config(tmp_path / "c.toml") == config
    assert config.training.epochs == 3
    assert config.faces.camera.pos_thres == 0.3


def test_each_augmentation_has_its_switch(tmp_path):
    config = load_config(None, ["training.augment.kind=spiking_fer", "training.augment.crop=false"])
    assert config.training.augment == EventAugmentConfig(crop=False)
    assert "crop" not in config.training.augment.names
    (tmp_path / "c.toml").write_text(to_toml(config))
    assert load_config(tmp_path / "c.toml") == config
    assert load_config(None, ["training.augment.kind=batch"]) == Config()


def test_defaults():
    assert load_config(None) == Config()


def test_presets_are_what_single_values_change():
    config = load_config(None, ['faces.preset="faces-small"', 'faces.camera.preset="hard"'])
    assert config.faces == face_set("faces-small", camera="hard")
    changed = load_config(
        None,
        ['faces.preset="faces-small"', "faces.seed=9", "faces.camera.pos_thres=0.3"],
    )
    assert changed.faces.sensor_size == (128, 128)
    assert (changed.faces.seed, changed.faces.camera.pos_thres) == (9, 0.3)
    assert changed.faces.camera.neg_thres == 0.2


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("faces.preset=huge", "unknown set 'huge'; choose one of demo, faces-small"),
        ("faces.camera.preset=x", "unknown camera 'x'; choose one of clean, real, hard"),
        ("faces.camera=3", "faces.camera is a section"),
        ("training.epoch=3", "unknown key training.epoch; did you mean training.epochs"),
        ("trainings.epochs=3", "unknown key trainings; did you mean training"),
        ("faces.camera.zzz=1", "unknown key faces.camera.zzz; there are"),
        ("training.epochs=many", "training.epochs must be a whole number, got 'many'"),
        ("training.epochs=2.5", "must be a whole number"),
        ("training.epochs=true", "must be a whole number"),
        ("training.epochs=0", "epochs must be at least 1"),
        ("model.engine=brain", "must be one of norse, slayer, fused, got 'brain'"),
        ("model.channels=[1,'a']", "must be a whole number"),
        ("faces.sensor_size=[64]", "needs 2 values"),
        ("model=3", "takes section.key=value"),
        ("model.channels", "takes section.key=value"),
        ("training=4", "takes section.key=value"),
        ("frames.n_bins=0", r"n_bins must lie in \[1, 1000\]"),
        ("faces.clips_per_class=0", "clips_per_class must be above 0"),
        ("faces.camera.pos_thres=-1", "thresholds must be above 0"),
        ("training.augment=5", "training.augment is a section"),
        ("training.augment.kind=x", "kind must be one of batch, spiking_fer, image, got 'x'"),
        ("training.augment.crop=true", "unknown key training.augment.crop"),
        ("training.optimiser=rprop", "optimiser must be one of adamw, adam, sgd, got 'rprop'"),
        ("training.warm_up=1.0", r"warm_up must lie in \[0, 1\), got 1.0"),
        ("training.patience=-1", "patience must be at least 0"),
        ("data.dataset=ckplus", "did you mean eckplus"),
        ("data.protocol=loose", "data.protocol must be one of , strict, authors, got 'loose'"),
        ("data.n_folds=2", "n_folds at least 3"),
        ("frames.kind=voxels", "frames.kind must be one of time_bins, spiking_fer"),
        ("frames.size=[0, 64]", "size is a width and a height"),
        ("frames.events_per_frame=0", "events_per_frame must be at least 1"),
    ],
)
def test_wrong_assignments_are_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, [assignment])


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.toml")
    path = tmp_path / "x.toml"
    path.write_text("[model\n")
    with pytest.raises(ConfigError, match=r"x\.toml: not readable as TOML"):
        load_config(path)
    path.write_text("[model]\nhidde = 3\n")
    with pytest.raises(ConfigError, match=r"x\.toml: unknown key model\.hidde; did you mean"):
        load_config(path)
