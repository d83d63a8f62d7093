"""A script runs networks the same way on every machine."""

import ast
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.house import ROOT, SCRIPTS, tree

# The gradient by the weights: its sums over the images are split among the threads.
PROGRAM = """
import hashlib
import keras
import numpy as np
import tensorflow as tf
from skylight.errors import script
from skylight.networks.periodic_cnn import periodic_cnn

@script
def main():
    keras.utils.set_random_seed(0)
    model = periodic_cnn(7)
    images = np.random.default_rng(0).random((512, 22, 24, 1), dtype=np.float32)
    with tf.GradientTape() as tape:
        score = tf.reduce_sum(model(50 * images, training=False) ** 2)
    state = hashlib.md5()
    for values in tape.gradient(score, model.trainable_variables):
        state.update(values.numpy().tobytes())
    print(state.hexdigest())

main()
"""


def printed(*before: str, **environment: str) -> str:
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("TF_NUM", "SKYLIGHT_THREADS"))}
    command = [*before, sys.executable, "-c", PROGRAM]
    variables |= {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_bytes_do_not_depend_on_cores_and_threads():
    usual = printed()
    assert len(usual) == 33
    assert printed(TF_NUM_INTRAOP_THREADS="4") == printed(TF_NUM_INTRAOP_THREADS="1") == usual
    assert printed("taskset", "-c", "0") == usual
    assert printed(SKYLIGHT_THREADS="4") != usual, "this gradient does not show the number of threads"


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_every_stage_starts_in_the_one_way(path):
    (main,) = [node for node in tree(path).body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    assert [ast.unparse(each).split(".")[-1] for each in main.decorator_list] == ["script"]


def test_an_interrupt_that_a_library_turned_into_an_error_is_one_line():
    program = """
import os, signal
from skylight.errors import script

@script
def main():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise TypeError("Exception encountered when calling a layer")

main()
"""
    # a shell may start background jobs that ignore Ctrl-C
    default = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    ended = subprocess.run(
        [sys.executable, "-c", default + program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "error: interrupted\n")


def test_an_interrupt_during_the_imports_is_one_line():
    program = "import stages; raise KeyboardInterrupt"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.stderr == "error: interrupted\n" and ran.returncode in (-2, 130)
    ran = subprocess.run([sys.executable, "-c", "import stages; 1 / 0"], capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" in ran.stderr and "ZeroDivisionError" in ran.stderr


WORKERS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start background jobs that ignore Ctrl-C
import stages
import time
import joblib
from skylight.errors import script

@script
def main():
    print("start", flush=True)
    list(joblib.Parallel(n_jobs=2, return_as="generator")(joblib.delayed(time.sleep)(0.5) for _ in range(64)))

main()
"""


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 1.0])
def test_an_interrupt_while_workers_start_is_one_line(seconds):
    """As in a terminal, all processes get it; those of joblib import their libraries in the first second."""
    command = [sys.executable, "-c", WORKERS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
    assert run.stdout.readline() == "start\n"
    time.sleep(seconds)
    os.killpg(run.pid, signal.SIGINT)
    assert (*run.communicate(timeout=20), run.returncode) == ("", "error: interrupted\n", 130)
    assert not alive(run.pid)


def alive(session: int) -> list[str]:
    """Return the processes of a session that are still there a second later."""
    listing = ["ps", "-o", "pid=,stat=,args=", "-s", str(session)]
    for _ in range(10):
        found = subprocess.run(listing, capture_output=True, text=True).stdout.splitlines()
        found = [line for line in found if "Z" not in line.split()[1]]
        if not found:
            break
        time.sleep(0.1)
    return found


BEGIN = {
    "a stage that imports Keras first": """
import stages
import keras
from skylight.errors import script
""",
    "a stage that imports Keras when it needs it": """
import stages
from skylight.errors import script

def prepare():
    from skylight.training.fit import deterministic
    deterministic(0)
""",
    "a command": """
from apps.files import import_tensorflow as prepare
from skylight.errors import script
""",
}
TRAIN = """
@script
def main():
    globals().get("prepare", list)()
    import hashlib
    import keras
    import numpy as np
    from skylight.networks.periodic_cnn import periodic_cnn

    keras.utils.set_random_seed(0)
    model = periodic_cnn(7)
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.CategoricalCrossentropy())
    random = np.random.default_rng(0)
    images = random.random((96, 22, 24, 1), dtype=np.float32)
    labels = keras.utils.to_categorical(random.integers(7, size=96), 7)
    model.fit(images, labels, epochs=2, verbose=0)  # the loss has an epsilon
    state = hashlib.md5()
    for values in [*model.get_weights(), model.predict(images, verbose=0)]:
        state.update(np.asarray(values).tobytes() + str(values.dtype).encode())
    print(keras.config.backend(), state.hexdigest())

main()
"""


@pytest.fixture
def hostile(tmp_path):
    """The environment of a user whose Keras is configured in another way."""
    settings = {"floatx": "float64", "epsilon": 1e-3, "backend": "jax", "image_data_format": "channels_first"}
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text(json.dumps(settings))
    return {"HOME": str(tmp_path), "KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1"}


def ran(program: str, **environment: str) -> str:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("KERAS")}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=variables | environment, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return ran(BEGIN["a stage that imports Keras first"] + TRAIN, HOME=str(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize("begin", BEGIN)
@pytest.mark.slow
def test_a_configuration_of_keras_changes_no_bytes(begin, hostile, usual):
    assert usual.startswith("tensorflow ")
    assert ran(BEGIN[begin] + TRAIN, **hostile) == usual


@pytest.mark.slow
def test_the_library_leaves_the_configuration_of_keras_to_its_user(hostile):
    del hostile["KERAS_BACKEND"]  # JAX is not installed
    settings = hostile["HOME"] + "/.keras/keras.json"
    program = f"""
import json, os, pathlib
settings = pathlib.Path({settings!r})
settings.write_text(json.dumps(json.loads(settings.read_text()) | {{"backend": "tensorflow"}}))
from skylight.attribution import METHODS
from skylight import errors, evaluation, networks
assert "KERAS_BACKEND" not in os.environ and os.environ["KERAS_MAX_EPOCHS"] == "1"
list(METHODS.values())
import keras
assert (keras.config.floatx(), keras.config.epsilon()) == ("float64", 1e-3)
assert keras.config.image_data_format() == "channels_first"
"""
    ran(program, **hostile)


def test_every_stage_that_imports_keras_late_configures_it_then():
    """One that imports it first is configured by its `script`."""
    late = []
    for path in SCRIPTS:
        functions = [node for node in tree(path).body if isinstance(node, ast.FunctionDef)]
        inside = [node for each in functions for node in ast.walk(each) if isinstance(node, ast.ImportFrom)]
        if any(node.module.startswith("skylight.networks.") for node in inside):
            late.append(path)
            calls = [ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
            assert "deterministic" in calls, path
    assert len(late) > 4
