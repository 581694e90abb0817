"""What lava-dl says: SLAYER exports networks, netx runs every ``.net`` file of a folder.

    python lava_dl_child.py FOLDER STEPS STATE...

A script for a process of its own. Beside ``<name>.net`` it expects an input ``<name>.npy`` and a
``<name>.json`` with the arguments of `run_netx`, and leaves the traces in ``<name>.lava.npz``.
What Lava makes of the weights in ``weights/<name>.npz`` it leaves in ``<name>.lava.npz`` there.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import h5py
import numpy as np


def run_lava_dl(folder, n_steps, states):
    """Export from SLAYER, run all files of a folder, keep what Lava makes of weights."""
    export_from_slayer(folder, n_steps)
    for path in sorted(folder.glob("*.net")):
        job = json.loads(path.with_suffix(".json").read_text())
        np.savez(path.with_suffix(".lava.npz"), **run_netx(path, states, **job))
    for path in sorted((folder / "weights").glob("*.npz")):
        effects = effects_in_lava(list(np.load(path).values()))
        np.savez(path.with_suffix(".lava.npz"), *effects)


def export_from_slayer(folder, n_steps):
    import torch
    from lava.lib.dl import slayer

    torch.manual_seed(1)
    cuba = {"threshold": 0.4, "current_decay": 0.4, "voltage_decay": 0.1}
    per_neuron = cuba | {"shared_param": False}
    sdnn = {"threshold": 0.1, "activation": torch.nn.functional.relu}
    resonator = {"threshold": 0.6, "period": 9, "decay": 0.1, "shared_param": False}
    sizes = {"weight_scale": 3}
    block = slayer.block
    networks = {
        "conv": [
            block.cuba.Conv(cuba, 2, 4, (3, 2), stride=(2, 1), padding=(1, 0), **sizes),
            block.cuba.Conv(cuba, 4, 6, (2, 3), groups=2, dilation=(2, 1), **sizes),
            block.cuba.Flatten(),
            block.cuba.Dense(per_neuron, 6 * 1 * 2, 7, **sizes),
        ],
        "recurrent": [
            block.cuba.Recurrent(cuba, 6, 5, **sizes),
            block.cuba.Recurrent(per_neuron, 5, 4, **sizes),
        ],
        "delays": [
            block.cuba.Dense(cuba, 6, 8, delay=True, **sizes),
            block.cuba.Dense(cuba, 8, 5, **sizes),
        ],
        "sigma-delta": [
            block.sigma_delta.Input(sdnn),
            block.sigma_delta.Dense(sdnn, 6, 8, **sizes),
            block.sigma_delta.Output(sdnn, 8, 3, **sizes),
        ],
        "resonators": [
            block.rf.Dense(resonator, 6, 8, **sizes),
            block.rf_iz.Dense(resonator, 8, 5, **sizes),
        ],
    }
    for name, blocks in networks.items():
        shape = (2, 6, 5) if name == "conv" else (6,)
        values = torch.rand(1, *shape, 10).round()
        with h5py.File(folder / f"slayer-{name}.net", "w") as file:
            for index, part in enumerate(blocks):
                with torch.no_grad():  # one pass, so that the shapes are known
                    values = part(values)
                if getattr(part, "delay", None) is not None:
                    part.delay.delay.data = torch.arange(8.0).reshape(part.delay.delay.shape) * 3
                part.export_hdf5(file.create_group(f"layer/{index}"))
        largest = 60 if name == "sigma-delta" else 1
        sent = np.random.default_rng(0).random((n_steps, *shape)) < 0.3
        np.save(folder / f"slayer-{name}.npy", largest * sent.astype(int))
        job = {"input_shape": shape, "input_bits": 0}
        (folder / f"slayer-{name}.json").write_text(json.dumps(job))


def run_netx(path, states, *, input_shape, input_bits, spike_exp=6):
    """Traces of every layer's messages, and the states after the last step."""
    from lava.lib.dl import netx
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io

    values = np.load(path.with_suffix(".npy"))
    net = netx.hdf5.Network(
        str(path),
        input_shape=tuple(input_shape)[::-1],
        input_message_bits=input_bits,
        spike_exp=spike_exp,
    )
    first = net.layers[0]
    if first.block == "Input" and hasattr(first.neuron, "bias_mant"):
        first.neuron.bias_mant.init = values[0].T.astype(int)
    else:
        target = first.neuron.a_in if first.block == "Input" else first.inp
        source = io.source.RingBuffer(data=values.T.reshape(*target.shape, len(values)))
        source.s_out.connect(target)
    sinks = [io.sink.RingBuffer(shape=layer.out.shape, buffer=len(values)) for layer in net.layers]
    for layer, sink in zip(net.layers, sinks, strict=True):
        layer.out.connect(sink.a_in)
    found = {}
    for index, layer in enumerate(net.layers):
        for name in ("sin_decay", "cos_decay"):
            if hasattr(layer.neuron, name):
                found[f"{index}/{name}"] = np.asarray(getattr(layer.neuron, name).init)
    net.run(condition=RunSteps(len(values)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    try:
        for index, (layer, sink) in enumerate(zip(net.layers, sinks, strict=True)):
            found[f"{index}/spikes"] = sink.data.get().T
            for name in states:
                if hasattr(layer.neuron, name):
                    found[f"{index}/{name}"] = getattr(layer.neuron, name).get().T
    finally:
        net.stop()
    return found


def effects_in_lava(parts):
    """What each input neuron alone adds to each target, through netx's and Lava's own functions.

    Input and recurrent weights, or any parts, choose their bits together and are stored apart.
    """
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    weight, bits, exponent, _ = optimize_weight_bits(np.hstack(parts))
    effects = []
    for part in np.hsplit(weight, np.cumsum([part.shape[1] for part in parts])[:-1]):
        mode = determine_sign_mode(part)
        stored = truncate_weights(clip_weights(part, mode, num_bits=8), mode, bits)
        effects.append(stored << exponent if exponent > 0 else stored >> -exponent)
    return effects


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        run_lava_dl(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
