"""A killed training continues to the same weights; a checkpoint of another training is not used."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.training.fit import (
    array_batches,
    deterministic,
    digest,
    fit,
    forget,
    ordered_batches,
    shuffled,
)


def killer(at_epoch):
    """Return a callback that stops a run in the middle of an epoch, like a signal."""
    running = []

    def stop(batch, logs=None):
        if running[-1] == at_epoch and batch == 3:
            raise KeyboardInterrupt

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: running.append(epoch), on_train_batch_end=stop
    )


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(kill_at=None, depends_on="same", epochs=10, keep=False):
    """Train a small network with dropout and stateful callbacks; return its weights."""
    deterministic(3)
    rng = np.random.default_rng(0)
    inputs = rng.random((300, 8), dtype=np.float32)
    labels = (inputs[:, 0] > rng.random(300)).astype(int)
    first = layers.Input((8,), name="in")
    hidden = layers.Dropout(0.5, seed=1, name="drop")(layers.Dense(16, activation="relu", name="hidden")(first))
    model = keras.Model(first, layers.Dense(2, activation="softmax", name="out")(hidden), name="small")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5),
        keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True),
        killer(kill_at),
    ]
    fit(
        model,
        array_batches(inputs, labels, 32, seed=5),
        steps=10,
        epochs=epochs,
        name="small",
        parameters={"epochs": epochs},
        depends_on=depends_on,
        curves=Path("curves"),
        validation=tf.data.Dataset.from_tensor_slices((inputs[:50], labels[:50])).batch(50),
        callbacks=callbacks,
        keep=keep,
    )
    return model.get_weights(), Path("curves/plots/metrics/train/loss.tsv").read_text()


def equal(a, b):
    return a[1] == b[1] and all(np.array_equal(p, q) for p, q in zip(a[0], b[0], strict=True))


@pytest.mark.slow
def test_a_killed_training_continues_to_the_same_weights_and_curves(capfd):
    undisturbed = train()
    for epoch in (2, 6):
        with pytest.raises(KeyboardInterrupt):
            train(kill_at=epoch)
        assert len(json.loads(Path(".checkpoints/small/history.json").read_text())["history"]) == epoch
        assert equal(train(), undisturbed)
        assert f"continuing small after epoch {epoch} of 10" in capfd.readouterr().out
    assert not Path(".checkpoints/small").exists()


@pytest.mark.slow
def test_a_checkpoint_of_another_training_is_not_continued(capfd):
    with pytest.raises(KeyboardInterrupt):
        train(kill_at=2, depends_on="other data")
    train(epochs=1)
    assert "continuing" not in capfd.readouterr().out


def test_each_epoch_has_all_samples_in_another_order():
    batches = iter(shuffled(10, 4, seed=0)(0))
    epochs = [np.concatenate([next(batches) for _ in range(3)]) for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    later = iter(shuffled(10, 4, seed=0)(2))
    assert np.array_equal(np.concatenate([next(later) for _ in range(3)]), epochs[2])


def test_the_digest_depends_on_values_and_shapes():
    array = np.arange(6.0)
    assert digest(array, {"a": 1}) == digest(array.copy(), {"a": 1})
    assert len({digest(array), digest(array.reshape(2, 3)), digest(array + 1)}) == 3


def test_memory_mapped_inputs_have_the_same_order_as_inputs_in_memory(tmp_path):
    inputs, labels = np.random.default_rng(0).random((23, 4), dtype=np.float32), np.arange(23)
    np.save(tmp_path / "inputs.npy", inputs)
    mapped = np.load(tmp_path / "inputs.npy", mmap_mode="r")
    both = [iter(array_batches(some, labels, 5, seed=1)(0)) for some in (inputs, mapped)]
    for _ in range(12):
        (held, first), (read, second) = (next(batches) for batches in both)
        assert np.array_equal(held, read) and np.array_equal(first, second)
    in_order = list(ordered_batches(mapped[3:], labels[3:], 8))
    assert [len(batch) for batch, _ in in_order] == [8, 8, 4]
    assert np.array_equal(np.concatenate([batch for batch, _ in in_order]), inputs[3:])


def test_a_kept_checkpoint_replaces_the_training_until_it_is_removed(capfd):
    before = train(keep=True)
    assert equal(train(keep=True), before)
    assert "continuing small after epoch 10 of 10" in capfd.readouterr().out
    forget("small")
    assert not Path(".checkpoints/small").exists()


def test_the_tuning_of_datasets_is_off(monkeypatch):
    fit, seen = keras.Model.fit, []

    def watched(model, batches, **settings):
        seen.extend(dataset.options().autotune.enabled for dataset in (batches, settings["validation_data"]))
        return fit(model, batches, **settings)

    monkeypatch.setattr(keras.Model, "fit", watched)
    train(epochs=2)
    assert seen == [False, False]
