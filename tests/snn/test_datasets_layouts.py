"""Small copies of each layout, written as their makers write them, and damaged ones."""

import os
import pickle
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from snn.errors import DatasetError, EventFormatError
from snn.events.datasets import (
    NEFER,
    CKPlusDVS,
    ECKPlus,
    FolderSet,
    open_dataset,
    verify,
)
from snn.events.datasets.protocols import strict_splits
from snn.events.frames import count_frames

FLAGS = "0;0;0;1;1;0;0;1;0;0"


def v2e_events(n=400, seed=0, size=200):
    """Columns t, x, y, p as v2e orders them."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 300_000, n))
    columns = (t, rng.integers(0, size, n), rng.integers(0, size, n), rng.integers(0, 2, n))
    return np.stack(columns, 1).astype(np.uint32)


def write_v2e(path, events):
    """As v2e does: extended from nothing, gzip, chunks of 512 rows, no attributes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        table = file.create_dataset(
            "events",
            (0, 4),
            maxshape=(None, 4),
            dtype="uint32",
            chunks=(512, 4),
            compression="gzip",
        )
        table.resize(len(events), axis=0)
        table[:] = events


@pytest.fixture
def ckplus(tmp_path):
    base = tmp_path / "CKPlusDVS"
    rows = [f"S{s:03d};{q:03d};{(s + q) % 6 + 1};{FLAGS}" for s in range(1, 5) for q in (1, 2, 3)]
    for seed, row in enumerate(rows):
        subject, sequence, *_ = row.split(";")
        write_v2e(base / subject / f"{sequence}.h5", v2e_events(seed=seed))
    (base / "folds.csv").write_bytes("".join(f"{row}\r\n" for row in rows).encode())
    return tmp_path


def test_items_are_tonics(ckplus):
    dataset = CKPlusDVS(ckplus)
    events, target = dataset[0]
    assert len(dataset) == 12
    assert dataset.sensor_size == (200, 200, 2)
    assert events.dtype == dataset.dtype
    assert dataset.ordering == events.dtype.names
    written = v2e_events(seed=0)
    for column, name in enumerate("txyp"):
        assert np.array_equal(events[name], written[:, column])
    assert (target, dataset.classes[target]) == (2, "surprise")  # S001;001 is label 3
    assert dataset.recording(0).sensor_size == (200, 200)
    with pytest.raises(IndexError):
        dataset[12]


def test_tonic_transforms_and_our_frames_see_the_same_events(ckplus):
    transforms = pytest.importorskip("tonic", reason="tonic is not installed").transforms
    theirs = CKPlusDVS(
        ckplus, transform=transforms.ToFrame(sensor_size=(200, 200, 2), n_time_bins=1)
    )
    window_us = int(np.ptp(v2e_events()[:, 0]))
    ours = CKPlusDVS(
        ckplus,
        representation=partial(count_frames, n_bins=1, window_us=window_us),
        target_transform=lambda label: label + 10,
        transforms=lambda data, target: (data, [target]),
    )
    frames, target = ours[0]
    assert target == [12]
    assert np.array_equal(frames, theirs[0][0])


def test_torch_loads_it(ckplus):
    torch_data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    represent = partial(count_frames, n_bins=4, window_us=300_000, size=(32, 32))
    loader = torch_data.DataLoader(CKPlusDVS(ckplus, representation=represent), batch_size=5)
    shapes = [tuple(frames.shape) for frames, _ in loader]
    assert shapes == [(5, 4, 2, 32, 32), (5, 4, 2, 32, 32), (2, 4, 2, 32, 32)]
    assert len(pickle.loads(pickle.dumps(CKPlusDVS(ckplus)))) == 12


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("S009;001;1;0;0", "line 13: expected 13 fields, found 5"),
        (f"S009;001;7;{FLAGS}", "line 13: the label must be a number from 1 to 6, found '7'"),
        (f"S009;001;0;{FLAGS}", "line 13: the label must be"),
        (f"S009;x;1;{FLAGS}", "line 13: the sequence must be a number"),
        (f"S009;001;1;{FLAGS[:-1]}2", "line 13: a fold must be a number from 0 to 1"),
        (f"S001;001;1;{FLAGS}", "line 13: repeats line 1"),
        (f"../S009;001;1;{FLAGS}", "line 13: '../S009' is not a plain file or folder name"),
        (f"..;001;1;{FLAGS}", "line 13: '..' is not a plain"),
        (f"/etc;001;1;{FLAGS}", "line 13: '/etc' is not a plain"),
        (f"a\\b;001;1;{FLAGS}", "is not a plain"),
        (f"S00\u0661;001;\u0661;{FLAGS}", "is not a plain"),
    ],
)
def test_foreign_lines_are_refused_by_number(ckplus, line, problem):
    folds = ckplus / "CKPlusDVS" / "folds.csv"
    folds.write_text(folds.read_text() + line + "\r\n")
    with pytest.raises(DatasetError) as caught:
        CKPlusDVS(ckplus)
    assert problem in str(caught.value)
    assert "folds.csv: 1 unusable lines" in str(caught.value)


def test_all_bad_lines_are_one_error(ckplus):
    folds = ckplus / "CKPlusDVS" / "folds.csv"
    folds.write_text("\n".join(["x;y", *folds.read_text().splitlines()] + ["a"] * 20))
    with pytest.raises(DatasetError, match=r"21 unusable lines: line 1: .*; and 13 more"):
        CKPlusDVS(ckplus)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\r\n\r\n"])
def test_a_list_that_is_no_list(ckplus, content):
    (ckplus / "CKPlusDVS" / "folds.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"folds\.csv: (holds no rows|cannot be read as text)"):
        CKPlusDVS(ckplus)


def test_verify_finds_each_kind_of_damage(ckplus):
    base = ckplus / "CKPlusDVS"
    assert verify(CKPlusDVS(ckplus), full=True).ok
    (base / "S001" / "001.h5").unlink()
    write_v2e(base / "S001" / "099.h5", v2e_events())
    (base / "S002" / "001.h5").write_bytes(b"")
    damaged = (base / "S002" / "002.h5").read_bytes()
    (base / "S002" / "002.h5").write_bytes(damaged[: len(damaged) // 2])
    outside = v2e_events()
    outside[5, 1] = 200
    write_v2e(base / "S003" / "001.h5", outside)
    write_v2e(base / "S003" / "002.h5", v2e_events(n=7))
    write_v2e(base / "S004" / "002.h5", v2e_events(seed=9))  # that is S004/001
    cheap, full = verify(CKPlusDVS(ckplus)), verify(CKPlusDVS(ckplus), full=True)

    def files(findings):
        return [Path(file).relative_to(base).as_posix() for file, _ in findings]

    for report in (cheap, full):
        assert not report.ok
        assert files(report.missing) == ["S001/001.h5"]
        assert files(report.extra) == ["S001/099.h5"]
    assert files(cheap.unreadable) == ["S002/001.h5", "S002/002.h5"]
    assert files(full.unreadable) == ["S002/001.h5", "S002/002.h5", "S003/001.h5"]
    assert "outside the 200×200 sensor" in full.unreadable[-1][1]
    assert files(full.odd) == ["folds.csv", "S003/002.h5", "S004/002.h5"]
    assert "the published list has 357 of 99" in full.odd[0][1]
    assert full.odd[1][1] == "only 7 events"
    assert full.odd[2][1] == "the same events as S004/001"
    assert str(full).splitlines()[0] == (
        "CKPlusDVS, 12 recordings (every file read): 1 missing, 1 extra, 3 unreadable, 3 odd"
    )


def test_a_missing_recording_is_named_when_it_is_read(ckplus):
    (ckplus / "CKPlusDVS" / "S001" / "001.h5").unlink()
    with pytest.raises(DatasetError, match=r"S001/001\.h5: there is no such file; verify"):
        CKPlusDVS(ckplus)[0]


@pytest.fixture
def eckplus(tmp_path):
    lines = []
    for number, (part, label, sequence) in enumerate(
        [("Train_Set", 7, "S115_001"), ("Train_Set", 1, "S010_004"), ("Test_Set", 1, "S133_003")]
    ):
        t, x, y, p = v2e_events(n=300, seed=number).T.astype(float)
        folder = tmp_path / part / str(label)
        folder.mkdir(parents=True)
        suffix = "_w120_h130" if number == 1 else ""
        np.save(folder / f"{sequence}{suffix}.npy", np.stack([x, y, t / 1e6, 2 * p - 1], 1))
        lines += [f"{part}/{label}/{sequence}/frame_{frame:04d}.jpg" for frame in (3, 4, 5)]
    (tmp_path / "common_jpg_files.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_eckplus_reads_seconds(eckplus):
    dataset = ECKPlus(eckplus, time_unit="s")
    written = v2e_events(n=300)
    events, target = dataset[0]
    assert (target, dataset.classes[target]) == (6, "surprise")
    assert np.array_equal(events["t"], written[:, 0])
    assert np.array_equal(events["p"], written[:, 3])
    assert np.array_equal(events["x"], written[:, 1])
    assert dataset.recording(1).sensor_size == (346, 260)
    assert dataset.frame_numbers[0] == (3, 4, 5)
    assert verify(dataset, full=True).ok
    splits = dataset.splits(protocol="authors")
    assert [splits.train.tolist(), splits.test.tolist()] == [[0, 1], [2]]


@pytest.mark.parametrize(("unit", "lasts"), [("ms", "0.000298 s"), ("us", "0 s")])
def test_eckplus_refuses_a_unit_that_cannot_be(eckplus, unit, lasts):
    with pytest.raises(EventFormatError, match=f"would last {lasts}.*choose another time_unit"):
        ECKPlus(eckplus, time_unit=unit)[0]
    report = verify(ECKPlus(eckplus, time_unit=unit), full=True)
    assert len(report.unreadable) == 3


def test_eckplus_too_long_a_clip(eckplus):
    path = eckplus / "Train_Set" / "7" / "S115_001.npy"
    table = np.load(path)
    table[:, 2] *= 1000
    np.save(path, table)
    with pytest.raises(EventFormatError, match=r"the clip would last 29\d\.\d+ s"):
        ECKPlus(eckplus, time_unit="s")[0]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            lambda table: table[:, :3],
            r"a table of shape \(n, 4\), found float64 of shape \(300, 3\)",
        ),
        (lambda table: np.add(table, [400, 0, 0, 0]), "outside the 346×260 sensor"),
        (lambda table: table * [1, 1, 1, 3], "polarities must be 0 and 1, or -1 and .1, found"),
        (lambda table: table * [1, 1, np.nan, 1], "not finite"),
        (lambda table: table[::-1], "time runs backwards"),
        (lambda table: table[:0], "the recording is empty"),
        (lambda table: table.astype(object), "expected numbers, found object"),
    ],
)
def test_eckplus_arrays_that_are_none(eckplus, damage, problem):
    path = eckplus / "Train_Set" / "7" / "S115_001.npy"
    np.save(path, damage(np.load(path)))
    with pytest.raises(EventFormatError, match=problem):
        ECKPlus(eckplus, time_unit="s")[0]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Train_Set/8/S001_001/frame_0001.jpg", "the class must be a number from 1 to 7"),
        ("Other/1/S001_001/frame_0001.jpg", "the part must be one of"),
        ("Train_Set/1/../frame_0001.jpg", "the sequence must look like"),
        ("Train_Set/1/S001_001/0001.jpg", "the frame must look like"),
        ("Train_Set/7/S115_001/frame_0003.jpg", "repeats line 1"),
        ("Test_Set/7/S115_001/frame_0009.jpg", "in more than one part or class"),
    ],
)
def test_eckplus_list_with_foreign_lines(eckplus, line, problem):
    listed = eckplus / "common_jpg_files.txt"
    listed.write_text(listed.read_text() + line)
    with pytest.raises(DatasetError, match=problem):
        ECKPlus(eckplus, time_unit="s")


def write_nefer(root, recordings):
    """Annotations as the authors publish them: a line a frame, no header."""
    for kind, ending in (("expected", ""), ("reported", "_subjective")):
        for part, users in (("train", ("01", "02")), ("validation", ("03",))):
            folder = root / "annotations" / f"{kind}_emotions"
            folder.mkdir(parents=True, exist_ok=True)
            lines = [
                f"user_{user},{name},../event_frame_NEW/user_{user}/{name}/frame_{n:02d}.png,"
                + (expected if kind == "expected" else reported)
                for user, name, expected, reported in recordings
                if user in users
                for n in range(51)
            ]
            (folder / f"{part}_event{ending}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def nefer(tmp_path):
    recordings = [
        ("01", "user01_2022-06-08_12-20-03_cd", "Happiness", "Happiness"),
        ("01", "user01_2022-06-08_12-20-47_cd", "Fear", "None"),
        ("02", "user02_2022-06-08_14-00-00_cd", "Disgust", "Contempt"),
        ("03", "user03_2022-06-08_15-12-06_cd", "Surprise", "Surprise"),
    ]
    write_nefer(tmp_path, recordings)
    for number, (user, name, *_) in enumerate(recordings):
        stem = name if number else name.removesuffix("_cd")
        folder = tmp_path / "event_raw" / ("raw" if number % 2 else "") / f"user_{user}"
        write_v2e(folder / f"{stem}.h5", v2e_events(seed=number, size=700))
    return tmp_path


def test_nefer(nefer):
    expected, reported = NEFER(nefer), NEFER(nefer, labels="reported")
    named = [[d.classes[label] for label in d.labels] for d in (expected, reported)]
    assert named[0] == ["happy", "fear", "disgust", "surprise"]
    assert named[1] == ["happy", "none", "contempt", "surprise"]
    assert (len(expected.classes), len(reported.classes)) == (7, 8)
    assert expected.recording(0).sensor_size == (1280, 720)
    assert verify(expected, full=True).ok
    splits = expected.splits(protocol="authors")
    assert [splits.train.tolist(), splits.test.tolist()] == [[0, 1, 2], [3]]
    assert "None of the 1 test subjects is in the training samples" in splits.text
    assert "optimistic" in splits.text


def test_nefer_labels_must_agree_within_a_recording(nefer):
    path = nefer / "annotations" / "expected_emotions" / "train_event.csv"
    path.write_text(path.read_text().replace("frame_07.png,Fear", "frame_07.png,Anger"))
    with pytest.raises(DatasetError, match="labelled both fear and anger"):
        NEFER(nefer)


@pytest.mark.parametrize(
    ("found", "replaced", "problem"),
    [
        ("Fear", "Boredom", "51 unusable lines: line 52: 'Boredom' is none of"),
        ("user_02,", "../x,", "is not a plain file or folder name"),
        ("Fear", "None", "'None' is none of"),  # only the reported labels know it
    ],
)
def test_nefer_foreign_lines(nefer, found, replaced, problem):
    path = nefer / "annotations" / "expected_emotions" / "train_event.csv"
    path.write_text(path.read_text().replace(found, replaced))
    with pytest.raises(DatasetError, match=problem):
        NEFER(nefer)


def write_folders(root, folders):
    for number, name in enumerate(folders):
        write_v2e(root / name, v2e_events(seed=number))
    return root


def test_folders_of_classes(tmp_path):
    names = [f"{c}/S{s}_{c}.h5" for c in ("happy", "anger") for s in range(4)]
    root = write_folders(tmp_path, [*names, "happy/.hidden.h5"])
    (root / "happy" / "notes.txt").write_text("not a recording")
    dataset = FolderSet(root, subject_pattern=r"(S\d+)_", sensor_size=(200, 200, 2))
    assert dataset.classes == ("anger", "happy")
    assert dataset.labels.tolist() == [0] * 4 + [1] * 4
    assert set(dataset.subjects) == {"S0", "S1", "S2", "S3"}
    splits = dataset.splits(n_folds=4)
    assert len(splits.test) == 2
    assert splits.majority_share == 0.5
    with pytest.raises(DatasetError, match="no split came with this set"):
        dataset.splits(protocol="authors")
    with pytest.raises(DatasetError, match="give subject_pattern"):
        FolderSet(root).splits()
    with pytest.raises(DatasetError, match="needs a group"):
        FolderSet(root, subject_pattern="S")
    with pytest.raises(DatasetError, match="4 of 8 names hold no subject"):
        FolderSet(root, subject_pattern=r"(S\d+)_happy")
    with pytest.raises(DatasetError, match="are none of the classes"):
        FolderSet(root, classes=("happy", "fear"))


def test_folders_of_parts(tmp_path):
    root = write_folders(
        tmp_path,
        [f"{p}/{c}/{p}{c}.h5" for p in ("Train", "val", "Test") for c in ("a", "b")],
    )
    splits = FolderSet(root).splits(protocol="authors")
    lengths = [len(part) for part in (splits.train, splits.validation, splits.test)]
    assert lengths == [2, 2, 2]
    assert "selected on the validation samples" in splits.text
    assert "not known" in splits.text


def test_an_empty_folder_is_said(tmp_path):
    with pytest.raises(DatasetError, match="no recordings in class/recording"):
        FolderSet(tmp_path)
    with pytest.raises(DatasetError, match="there is no such folder"):
        FolderSet(tmp_path / "absent")


def test_sets_by_name(ckplus):
    assert len(open_dataset("ckplus-dvs", ckplus)) == 12
    with pytest.raises(DatasetError, match="choose one of ckplus-dvs"):
        open_dataset("ck", ckplus)
    with pytest.raises(DatasetError, match="time_unit"):
        open_dataset("eckplus", ckplus)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_by_permission_is_a_finding(ckplus):
    path = ckplus / "CKPlusDVS" / "S001" / "001.h5"
    path.chmod(0)
    report = verify(CKPlusDVS(ckplus))
    assert [file for file, _ in report.unreadable] == [str(path)]


@pytest.mark.parametrize("people", [[], ["a"] * 4, ["a", "b", "b"]])
def test_fewer_than_three_subjects_cannot_be_split(people):
    subjects, labels = np.array(people, np.str_), np.zeros(len(people), np.int64)
    with pytest.raises(DatasetError, match="takes at least 3"):
        strict_splits(labels, subjects, ("happy",), fold=0, n_folds=3, seed=0)


def test_as_many_folds_as_subjects():
    subjects, labels = np.array(["a", "b", "c", "a"]), np.array([0, 1, 0, 1])
    tested = []
    for fold in range(3):
        splits = strict_splits(labels, subjects, ("x", "y"), fold=fold, n_folds=3, seed=0)
        held = [set(subjects[part]) for part in (splits.train, splits.validation, splits.test)]
        assert [len(people) for people in held] == [1, 1, 1]
        assert set.union(*held) == {"a", "b", "c"}
        tested += splits.test.tolist()
    assert sorted(tested) == [0, 1, 2, 3]
