"""Which encoder a configuration means, and what is said where there is none."""

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import torch

from conversion.encoder import Encoder, save_encoder
from conversion.transfer import TransferConfig, encoder_path, transferred_encoder
from snn.errors import ModelError


@pytest.fixture
def run(tmp_path):
    """A reconstruction run that kept three encoders; their weights are their epochs."""
    folder = tmp_path / "gan" / "encoders"
    folder.mkdir(parents=True)
    for epoch in (80, 0, 9, 100):
        encoder = Encoder(size=32, width=2)
        torch.nn.init.constant_(encoder.bottleneck.bias, epoch)
        save_encoder(folder / f"encoder-epoch{epoch:03d}.pt", encoder, about={"epoch": epoch})
    (folder / "encoder-epoch200.pt.part").write_bytes(b"half")
    return tmp_path / "gan"


@pytest.mark.parametrize(("epoch", "found"), [(-1, 100), (80, 80), (9, 9), (0, 0)])
def test_the_encoder_of_an_epoch(run, epoch, found):
    for place in (run, run / "encoders"):
        config = TransferConfig(mode="frozen", encoder=str(place), epoch=epoch)
        encoder, about = transferred_encoder(config, size=32)
        assert about["epoch"] == found
        assert float(encoder.bottleneck.bias[0]) == found


def test_one_file_is_taken_as_it_is(run):
    file = run / "encoders" / "encoder-epoch009.pt"
    config = TransferConfig(encoder=str(file), epoch=80)
    assert encoder_path(config) == file
    assert transferred_encoder(config, size=32)[1]["epoch"] == 9


def test_scratch_reads_nothing():
    config = TransferConfig(mode="scratch", encoder="no such folder")
    assert transferred_encoder(config, size=32) == (None, {})


def test_an_encoder_that_is_not_there_is_named(run, tmp_path):
    with pytest.raises(ModelError, match=r"set transfer\.encoder to a reconstruction run"):
        transferred_encoder(TransferConfig(), size=32)
    with pytest.raises(ModelError, match="neither an encoder file nor a folder"):
        transferred_encoder(TransferConfig(encoder=str(tmp_path)), size=32)
    with pytest.raises(ModelError, match=r"epoch 50; set transfer\.epoch to one of 0, 9, 80, 100"):
        transferred_encoder(TransferConfig(encoder=str(run), epoch=50), size=32)
    with pytest.raises(ModelError, match=r"32 pixels, and these have 64; set images\.size = 32"):
        transferred_encoder(TransferConfig(encoder=str(run)), size=64)


def test_all_values_out_of_range_are_named_at_once():
    with pytest.raises(ModelError) as found:
        TransferConfig(mode="linear", dropout=1.0, label_share=0.0, window=3, epoch=-2)
    for part in ("[transfer]", "mode must", "dropout", "label_share", "lstm_layers", "epoch"):
        assert part in str(found.value)
