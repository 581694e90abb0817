"""``./run`` decides well: which Python, which environment, when to build, and what if it fails.

Nothing is installed here. A copy of the script runs in a temporary folder, on a PATH that holds
only a few system tools and *fakes*: shell scripts named ``python3.10``, ``uv`` and so on, which
write down how they were called and play the parts that the script asks of them. The file lock
alone is real: the fake passes that snippet on to the Python that runs these tests.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
TOOLS = ("awk", "cat", "cksum", "cp", "df", "dirname", "ls", "mkdir", "mv", "readlink", "rm", "sed")
TOOLS += ("sh", "sleep", "touch")

# Plays a Python. $FAKE_CALLS is where it writes its calls; $INSTALLATION says how pip fares.
FAKE_PYTHON = """#!/bin/sh
# FAKE python
say() {{ echo "$*" >>"$FAKE_CALLS"; }}
case "$*" in
*sys._base_executable*) [ {version} = 3.10 ] && echo {path} ;;
*fcntl*) exec {real} "$@" ;;
*"import spikeface"* | *", spikeface"*) {serves} ;;
*"-m venv"*)
    say venv "$4"; mkdir -p "$4/bin"; touch "$4/pyvenv.cfg"; cp "$0" "$4/bin/python" ;;
*"-m pip install"*)
    say pip "$*"; echo "chatter of the installer"
    case "${{INSTALLATION:-}}" in
    fails) echo "no network" >&2; exit 1 ;;
    hangs) touch "$FAKE_CALLS.hanging"; exec sleep 60 ;;
    slow) sleep 0.5 ;;
    esac ;;
*"-m spikeface train"*) touch "$FAKE_CALLS.training"; exec sleep 60 ;;
*"-m spikeface"* | *"-m pytest"*) printf '<%s>' "$@"; exit "${{EXIT:-0}}" ;;
"-I -c ") ;;
*) exit 99 ;;
esac
"""
# Like pyenv's shim for a version that is not selected.
LYING_SHIM = "#!/bin/sh\n# FAKE shim\necho 'pyenv: python3.10: command not found' >&2\nexit 127\n"
FAKE_UV = """#!/bin/sh
# FAKE uv
echo "uv $*" >>"$FAKE_CALLS"
case "$*" in
--version) echo uv 1.0 ;;
"python find"*) [ -e "$FAKE_UV_PYTHON" ] && echo "$FAKE_UV_PYTHON" ;;
"python install"*) {install} ;;
*) echo "chatter of uv" ;;
esac
"""


class Bench:
    """A copy of the script in its own folder, and the small world in which it runs."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "a check out"  # spaces in every path of every test
        self.bin = folder / "bin"
        self.elsewhere = folder / "else where"
        for each in (self.checkout / "tests", self.bin, self.elsewhere):
            each.mkdir(parents=True)
        shutil.copy(CHECKOUT / "run", self.checkout)
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        (self.checkout / "requirements.lock").write_text("numpy==1.26.4\n")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.executable(self.bin / "sync", "#!/bin/sh\n# FAKE sync\n")
        self.environment = self.checkout / ".venv"
        self.call_log = folder / "calls"
        self.variables = {
            "PATH": str(self.bin),
            "HOME": str(folder / "home"),
            "FAKE_CALLS": str(self.call_log),
            "FAKE_UV_PYTHON": str(folder / "managed" / "python3.10"),
        }

    def executable(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def python(self, path: Path, version: str = "3.10", serves: str = "exit 1") -> Path:
        text = FAKE_PYTHON.format(
            version=version, path=f"'{path}'", real=f"'{sys.executable}'", serves=serves
        )
        return self.executable(path, text)

    def start(self, *arguments: str, cwd: Path | None = None, script=None, **variables: str):
        return subprocess.Popen(
            [str(script or self.checkout / "run"), *arguments],
            cwd=cwd or self.checkout,
            env=self.variables | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **options):
        process = self.start(*arguments, **options)
        process.out, process.err = process.communicate(timeout=20)
        return process

    def calls(self, kind: str) -> list[str]:
        lines = self.call_log.read_text().splitlines() if self.call_log.exists() else []
        return [line for line in lines if line.startswith(kind)]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def python(bench):
    return bench.python(bench.bin / "python3.10")


def test_first_call_builds_and_later_calls_do_not(bench, python):
    first = bench.run("demo", "--json")
    assert (first.returncode, first.out) == (0, "<-m><spikeface><demo><--json>")
    assert "3.3 GB" in first.err and "once" in first.err
    assert "chatter" in first.err
    again = bench.run("demo")
    assert (again.returncode, again.err) == (0, "")
    assert bench.calls("venv") == [f"venv {bench.environment}"]
    (install,) = bench.calls("pip")
    assert f"-c {bench.checkout}/requirements.lock -e {bench.checkout}[dev]" in install


def test_the_commands_exit_code_and_arguments_pass_through(bench, python):
    done = bench.run("report", "a b", "", "*", EXIT="5")
    assert (done.returncode, done.out) == (5, "<-m><spikeface><report><a b><><*>")


def test_help_builds_nothing(bench, python):
    done = bench.run()
    assert done.returncode == 0
    assert "./run COMMAND" in done.out and "3.3 GB" in done.out
    assert not bench.environment.exists()
    bench.run("demo")
    assert bench.run().out == "<-m><spikeface><--help>"


def test_called_from_elsewhere_through_links(bench, python):
    link = bench.elsewhere / "link"
    link.symlink_to("../a check out/second")
    (bench.checkout / "second").symlink_to(bench.checkout / "run")
    (bench.elsewhere / "events.h5").touch()
    done = bench.run("data", "events.h5", cwd=bench.elsewhere, script="./link")
    assert done.out == "<-m><spikeface><data><events.h5>"
    assert (bench.environment / "run.complete").exists()


def test_test_runs_the_whole_suite_unless_a_path_is_named(bench, python):
    (bench.elsewhere / "test_own.py").touch()
    root = bench.checkout
    start = f"<-m><pytest><--rootdir><{root}><-c><{root}/pyproject.toml>"
    everything = bench.run("test", "-x", cwd=bench.elsewhere)
    together = "<--numprocesses><logical><--maxprocesses><4><--dist><loadfile>"
    assert everything.out == f"{start}{together}<-x><{root}/tests>"
    named = bench.run("test", "test_own.py::test_a", cwd=bench.elsewhere)
    assert named.out == f"{start}<test_own.py::test_a>"
    assert bench.run("test", EXIT="5").returncode == 5


def test_a_lying_shim_is_passed_over_for_pyenvs_own_folder(bench):
    bench.executable(bench.bin / "python3.10", LYING_SHIM)
    bench.python(bench.bin / "python3", version="3.11")
    pyenv = Path(bench.variables["HOME"]) / ".pyenv"
    bench.python(pyenv / "versions/3.10.13/bin/python3.10")
    assert bench.run("demo").returncode == 0
    assert len(bench.calls("venv")) == 1


@pytest.mark.parametrize("home", ["/nonexistent", None], ids=["no such home", "no HOME"])
def test_without_python_3_10(bench, home):
    bench.executable(bench.bin / "python3.10", LYING_SHIM)
    bench.python(bench.bin / "python3", version="3.11")
    bench.variables.pop("HOME")
    done = bench.run("demo", **({"HOME": home} if home else {}))
    assert (done.returncode, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1
    for word in ("Python 3.10", "Lava", "pyenv", "conda", "uv", "PYTHON="):
        assert word in done.err
    assert not bench.environment.exists()


@pytest.mark.parametrize("version", ["3.11", None], ids=["another version", "missing"])
def test_a_wrong_PYTHON_is_not_replaced_by_another(bench, python, version):
    wrong = bench.elsewhere / "python"
    if version:
        bench.python(wrong, version=version)
    done = bench.run("demo", PYTHON=str(wrong))
    assert (done.returncode, done.out) == (3, "")
    assert f"PYTHON={wrong}" in done.err and "Python 3.10" in done.err


def test_PYTHON_names_the_interpreter(bench):
    bench.python(bench.elsewhere / "mine")
    assert bench.run("demo", cwd=bench.elsewhere, PYTHON="./mine").returncode == 0


def test_uv_installs_the_packages_when_it_works(bench, python):
    bench.executable(bench.bin / "uv", FAKE_UV.format(install="exit 2"))
    done = bench.run("demo")
    assert done.out == "<-m><spikeface><demo>"
    (install,) = bench.calls("uv pip install")
    assert f"--python {bench.environment}/bin/python" in install
    assert not bench.calls("pip")


def test_a_uv_that_does_not_run_is_not_used(bench, python):
    bench.executable(bench.bin / "uv", LYING_SHIM)
    assert bench.run("demo").returncode == 0
    assert len(bench.calls("pip")) == 1


def test_uv_provides_python_3_10(bench):
    managed = Path(bench.variables["FAKE_UV_PYTHON"])
    bench.python(managed.with_name("ready"))
    install = 'cp "${FAKE_UV_PYTHON%/*}/ready" "$FAKE_UV_PYTHON"'
    bench.executable(bench.bin / "uv", FAKE_UV.format(install=install))
    assert bench.run("demo").returncode == 0
    assert len(bench.calls("uv python install")) == 1


def test_uv_without_network_ends_in_the_same_message(bench):
    bench.executable(bench.bin / "uv", FAKE_UV.format(install="exit 2"))
    done = bench.run("demo")
    assert done.returncode == 3 and "Python 3.10 was not found" in done.err


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_with_this_checkout_is_used(bench, variable):
    active = bench.elsewhere / "active"
    bench.python(active / "bin/python", serves="exit 0")
    done = bench.run("demo", **{variable: str(active)})
    assert (done.out, done.err) == ("<-m><spikeface><demo>", "")
    assert not bench.environment.exists()


def test_an_active_environment_without_it_is_left_alone(bench, python):
    active = bench.elsewhere / "active"
    bench.python(active / "bin/python", serves="exit 1")
    assert bench.run("demo", VIRTUAL_ENV=str(active)).returncode == 0
    assert bench.calls("venv") == [f"venv {bench.environment}"]


def test_no_folder_named_like_a_package_passes_for_an_environment(bench, python):
    """The real check, by a real Python in which this copy is not installed."""
    active = bench.elsewhere / "active"
    real = f"exec '{sys.executable}' \"$@\""
    bench.python(active / "bin/python", serves=real)
    pretence = bench.checkout / "spikeface"
    pretence.mkdir()
    (pretence / "__init__.py").touch()
    bench.run("demo", VIRTUAL_ENV=str(active), PYTHONPATH=str(bench.checkout))
    assert bench.calls("venv") == [f"venv {bench.environment}"]


def test_SPIKEFACE_ENV_places_the_environment(bench, python):
    done = bench.run("demo", cwd=bench.elsewhere, SPIKEFACE_ENV="my env")
    assert done.returncode == 0
    assert (bench.elsewhere / "my env/run.complete").exists()
    assert not bench.environment.exists()


def test_a_folder_with_something_else_in_it_is_not_touched(bench, python):
    mine = bench.elsewhere / "lib" / "thesis.tex"
    mine.parent.mkdir()
    mine.touch()
    done = bench.run("demo", SPIKEFACE_ENV=str(bench.elsewhere))
    assert (done.returncode, done.out) == (1, "")
    assert "was not made by ./run" in done.err
    assert [path.name for path in bench.elsewhere.rglob("*")] == ["lib", "thesis.tex"]


def test_a_venv_made_by_hand_is_used_when_it_serves(bench):
    bench.python(bench.environment / "bin/python", serves="exit 0")
    assert bench.run("demo").out == "<-m><spikeface><demo>"
    assert not bench.calls("pip")


def test_a_failing_installation_is_said_and_leaves_nothing(bench, python):
    failed = bench.run("demo", INSTALLATION="fails")
    assert (failed.returncode, failed.out) == (1, "")
    assert "no network" in failed.err and "could not be built" in failed.err
    assert [path.name for path in bench.environment.iterdir()] == ["run.lock"]
    assert bench.run("demo").returncode == 0
    assert len(bench.calls("venv")) == 2


def test_changed_dependencies_update_the_environment(bench, python):
    bench.run("demo")
    (bench.checkout / "requirements.lock").write_text("numpy==1.26.3\n")
    failed = bench.run("demo", INSTALLATION="fails")
    assert (failed.returncode, failed.out) == (1, "")
    updated = bench.run("demo")
    assert updated.returncode == 0 and "dependencies changed" in updated.err
    (bench.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert "dependencies changed" in bench.run("demo").err
    assert bench.run("demo").err == ""
    assert (len(bench.calls("venv")), len(bench.calls("pip"))) == (1, 4)


def test_a_moved_checkout_is_built_anew(bench, python):
    bench.run("demo")
    moved = bench.checkout.rename(bench.elsewhere / "moved")
    assert bench.run("demo", cwd=moved, script=moved / "run").returncode == 0
    assert bench.calls("venv")[1:] == [f"venv {moved}/.venv"]


def test_an_environment_whose_python_was_removed_is_built_anew(bench, python):
    bench.run("demo")
    (bench.environment / "bin/python").unlink()
    (bench.environment / "bin/python").symlink_to("/nonexistent/python3.10")
    again = bench.run("demo")
    assert again.returncode == 0 and "building" in again.err


def wait_for(path: str):
    deadline = time.monotonic() + 10
    while not Path(path).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def hanging_build(bench):
    process = bench.start("demo", INSTALLATION="hangs")
    wait_for(f"{bench.call_log}.hanging")
    return process


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("update", [False, True], ids=["first build", "update"])
def test_an_interrupted_build_is_built_anew(bench, python, death, update):
    if update:
        bench.run("demo")
        (bench.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    process = hanging_build(bench)
    os.killpg(process.pid, death)
    out, _ = process.communicate(timeout=10)
    assert process.returncode != 0 and out == ""
    active = {"VIRTUAL_ENV": str(bench.environment)}  # not even when activated is it trusted
    again = bench.run("demo", **active)
    assert again.returncode == 0 and "building" in again.err
    assert len(bench.calls("venv")) == 2


def test_an_installer_that_outlives_its_call_is_waited_for(bench, python):
    process = hanging_build(bench)
    process.kill()  # the script alone; its installer goes on
    waiting = bench.start("demo")
    assert "waiting" in waiting.stderr.readline()
    assert waiting.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    out, err = waiting.communicate(timeout=10)
    assert out == "<-m><spikeface><demo>" and "building" in err
    process.communicate()


def test_simultaneous_first_calls_build_once(bench, python):
    calls = [bench.start("demo", INSTALLATION="slow") for _ in range(6)]
    results = [(*call.communicate(timeout=20), call.returncode) for call in calls]
    assert all(out == "<-m><spikeface><demo>" and code == 0 for out, _, code in results)
    assert (len(bench.calls("venv")), len(bench.calls("pip"))) == (1, 1)


def test_a_running_command_holds_no_lock(bench, python):
    """Otherwise one long training would keep every other call from an update."""
    training = bench.start("train")
    try:
        wait_for(f"{bench.call_log}.training")
        (bench.checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
        updated = bench.run("demo")
        assert updated.returncode == 0 and "waiting" not in updated.err
    finally:
        os.killpg(training.pid, signal.SIGKILL)
        training.communicate()
