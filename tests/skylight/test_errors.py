"""A script runs networks the same way on every machine."""

import ast
import os
import subprocess
import sys

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


def test_an_interrupt_during_the_imports_is_one_line():
    program = "import stages; raise KeyboardInterrupt"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert ran.stderr == "error: interrupted\n" and ran.returncode in (-2, 130)
    ran = subprocess.run([sys.executable, "-c", "import stages; 1 / 0"], capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" in ran.stderr and "ZeroDivisionError" in ran.stderr
