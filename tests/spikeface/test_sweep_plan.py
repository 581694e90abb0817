"""Plans of sweeps: what is asked for becomes these runs, and what cannot be is refused."""

import pytest

from spikeface.config import load_config, to_toml
from spikeface.errors import ConfigError, RunFolderError
from spikeface.sweeps import SweepFolder, parse_options, plan
from spikeface.sweeps.plan import lookup, settings
from spikeface.sweeps.values import parse_values, value_name

SWITCHES = ("training.augment.crop", "training.augment.flip_polarity")


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("training.seed=0,1,2", "training.seed", (0, 1, 2)),
        ("data.fold=0:10", "data.fold", tuple(range(10))),
        ("a.b=-2:1,7", "a.b", (-2, -1, 0, 7)),
        ("model.engine=norse,fused", "model.engine", ("norse", "fused")),
        ("a.b=true,false", "a.b", (True, False)),
        ("a.b=1e-3, 0.5", "a.b", (0.001, 0.5)),
        ("model.channels=[4,8],[8,16]", "model.channels", ([4, 8], [8, 16])),
        ("a.b='x,y',\"z\"", "a.b", ("x,y", "z")),
        ("a.b=07:30:00", "a.b", ("07:30:00",)),  # TOML's time is text here
    ],
)
def test_values(text, key, values):
    assert parse_values(text) == (key, values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.seed", "takes SECTION.KEY=VALUE"),
        ("seed=1", "takes SECTION.KEY=VALUE"),
        ("a.b=", "nothing between two commas"),
        ("a.b=1,,2", "nothing between two commas"),
        ("a.b=1,1", "each value once"),
        ("a.b=3:3", "holds 0 numbers"),
        ("a.b=0:99999999999", "at most 10,000"),
        ("a.b=0:9000,20000:29000", "more than 10,000 values"),
    ],
)
def test_wrong_values_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_values(text)


def test_names_are_short_and_fit_a_folder():
    values = {"model.engine": "norse", "training.seed": 3, "a.crop": False, "a.flip": True}
    assert value_name(values) == "norse-seed3-no_crop-flip"
    assert value_name({"model.channels": [4, 8], "a.rate": 1e-3}) == "channels4x8-rate0.001"
    assert value_name({"data.root": "../up/and $away"}) == "up_and_away"
    long = value_name({f"a.key{i}": i for i in range(40)})
    assert len(long) == 80 and long != value_name({f"a.key{i}": i + 1 for i in range(40)})


def test_a_grid_holds_every_combination_once():
    runs = plan(None, over=["training.seed=0:3", "model.engine=norse,slayer"])
    assert [run.name for run in runs] == [
        "seed0-norse",
        "seed0-slayer",
        "seed1-norse",
        "seed1-slayer",
        "seed2-norse",
        "seed2-slayer",
    ]
    assert {run.group for run in runs} == {"norse", "slayer"}
    assert runs[3].config == to_toml(
        load_config(None, ["training.seed=1", "model.engine='slayer'"])
    )


def test_assignments_lie_below_what_is_swept(tmp_path):
    (tmp_path / "c.toml").write_text("[training]\nepochs = 7\nseed = 4\n")
    _, second = plan(
        tmp_path / "c.toml",
        over=["training.seed=1,2"],
        assignments=["training.seed=9", "training.batch_size=5"],
    )
    config = settings(second)
    assert [config["training"][k] for k in ("epochs", "seed", "batch_size")] == [7, 2, 5]
    assert lookup(config, "training.nothing") is None


def test_equal_names_get_something_that_tells_them_apart():
    runs = plan(None, over=["faces.seed=1,2", "training.seed=1,2"], assignments=[])
    assert len({run.name for run in runs}) == 4
    short = plan(None, over=["training.learning_rate=0.01000001,0.01000002"])
    assert len({run.name for run in short}) == 2
    assert all(run.name.startswith("learning_rate0.01-") for run in short)


def test_a_list_names_its_runs(tmp_path):
    (tmp_path / "list.toml").write_text(
        '[[run]]\nname = "wide net"\nset = ["model.hidden=64", "model.engine=slayer"]\n'
        '[[run]]\nname = "as it is"\n'
    )
    runs = plan(None, listed=tmp_path / "list.toml", over=["training.seed=0,1"])
    assert [run.name for run in runs] == [
        "wide_net-seed0",
        "wide_net-seed1",
        "as_it_is-seed0",
        "as_it_is-seed1",
    ]
    assert [run.group for run in runs] == ["wide_net"] * 2 + ["as_it_is"] * 2
    assert settings(runs[1])["model"]["hidden"] == 64
    assert settings(runs[1])["model"]["engine"] == "slayer"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs tables"),
        ("run = 3", "needs tables"),
        ("[[run]]\nset = []", "has no name"),
        ('[[run]]\nname = "a"\nsets = []', "name and set, and nothing else"),
        ('[[run]]\nname = "a"\nset = "training.seed=1"', "a list of texts"),
        ('[[run]]\nname = "a"\nset = ["seed"]', "SECTION.KEY=VALUE"),
        ('[[run]]\nname = "a"\nset = ["training.sed=1"]', "did you mean training.seed"),
        ('[[run]]\nname = "a"\n[[run]]\nname = "b"', "a and b are the same"),
        (
            '[[run]]\nname = "a"\nset = ["training.seed=1"]\n[[run]]\nname = "A"\n[[run]]',
            "has no name",
        ),
    ],
)
def test_wrong_lists_are_refused(tmp_path, text, message):
    path = tmp_path / "list.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        plan(None, listed=path)


def test_an_ablation_switches_one_thing_off_at_a_time():
    runs = plan(
        None,
        ablate=SWITCHES,
        over=["training.seed=0,1"],
        assignments=["training.augment.kind=spiking_fer"],
    )
    on = {run.name: tuple(lookup(settings(run), key) for key in SWITCHES) for run in runs}
    assert on == {
        "all-seed0": (True, True),
        "all-seed1": (True, True),
        "without_crop-seed0": (False, True),
        "without_crop-seed1": (False, True),
        "without_flip_polarity-seed0": (True, False),
        "without_flip_polarity-seed1": (True, False),
    }
    with pytest.raises(ConfigError, match="is no switch, its value is 20"):
        plan(None, ablate=["training.epochs"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"over": ["training.seed=1", "training.seed=2"]}, "twice"),
        ({"over": ["training.seed=0:200", "faces.seed=0:200"]}, "more than 10,000 runs"),
        ({"over": ["training.epoch=1,2"]}, "did you mean training.epochs"),
        ({"over": ["training.epochs=1,0"]}, "epochs must be at least 1"),
        ({"over": ["training.epochs=2,two"]}, "must be a whole number"),
        ({"over": ["data.protocol=strict,authors"]}, "mixes authors and strict"),
    ],
)
def test_wrong_plans_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        plan(None, **arguments)


def test_a_folder_keeps_its_plan_and_may_grow(tmp_path):
    two, more = plan(None, over=["training.seed=0,1"]), plan(None, over=["training.seed=1,2"])
    sweep = SweepFolder.create(tmp_path / "s", two, until="train")
    assert sweep.states() == {"seed0": "waiting", "seed1": "waiting"}
    with pytest.raises(RunFolderError, match="exists already"):
        SweepFolder.create(tmp_path / "s", two)
    grown = SweepFolder.create(tmp_path / "s", more, resume=True)
    again = SweepFolder.open(tmp_path / "s")
    assert list(again.planned.values()) == list(grown.planned.values()) == [*two, more[1]]
    assert again.until == "train"
    other = plan(None, over=["training.seed=1,3"], assignments=["training.epochs=3"])
    with pytest.raises(RunFolderError, match="seed1 was planned with another configuration"):
        SweepFolder.create(tmp_path / "s", other, resume=True)
    authors = plan(None, over=["data.fold=0,1"], assignments=["data.protocol=authors"])
    with pytest.raises(ConfigError, match="mixes authors and strict"):
        SweepFolder.create(tmp_path / "s", authors, resume=True)
    assert list(SweepFolder.open(tmp_path / "s").planned) == ["seed0", "seed1", "seed2"]


OUTSIDE = '{"until": "train", "runs": [{"name": "../../up", "group": "", "config": ""}]}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"until": "train", "runs": [{"name": 1}]}',
        OUTSIDE,
        '{"until": "x", "runs": []}',
    ],
)
def test_damaged_plans_are_one_clear_error(tmp_path, text):
    with pytest.raises(RunFolderError, match="not a sweep"):
        SweepFolder.open(tmp_path)
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(RunFolderError, match="not the plan of a sweep"):
        SweepFolder.open(tmp_path)


def test_a_run_is_running_only_while_somebody_holds_it(tmp_path):
    sweep = SweepFolder.create(tmp_path / "s", plan(None, over=["training.seed=0,1"]))
    sweep.note("seed0", state="running")
    assert sweep.state("seed0") == "interrupted"
    with sweep.held("seed0", wait_s=0) as mine:
        assert mine and sweep.state("seed0") == "running"
        with sweep.held("seed0", wait_s=0.3) as also_mine:
            assert not also_mine
    assert sweep.state("seed0") == "interrupted"


def test_options_of_jobs():
    assert parse_options("") == {}
    assert parse_options("partition=gpu, gpus_per_node=1,mem_gb=7.5,exclude='a,b'") == {
        "partition": "gpu",
        "gpus_per_node": 1,
        "mem_gb": 7.5,
        "exclude": "a,b",
    }
    for wrong in ("partition", "=3", "a="):
        with pytest.raises(ConfigError, match="takes KEY=VALUE"):
            parse_options(wrong)
    with pytest.raises(ConfigError, match="cluster must be one of"):
        parse_options("cluster=mars")
