"""Learning rates that fall during a training, and when the training stops."""

import keras


def learning_schedule(
    learning_rate: float, epochs: int, steps: int, schedule: str, *, factor: float, patience: int, stop_after: int
) -> tuple[float | keras.optimizers.schedules.LearningRateSchedule, list[keras.callbacks.Callback]]:
    """Return the learning rate of a training and the callbacks that watch its validation loss.

    Parameters
    ----------
    learning_rate : float
        At the first step.
    epochs, steps : int
        Epochs of the training, and batches per epoch.
    schedule : {"cosine", "plateau"}
        The rate falls to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983), or by ``factor`` whenever
        the loss has not improved for ``patience`` epochs.
    factor : float
        Of the plateau schedule.
    patience : int
        Of the plateau schedule.
    stop_after : int
        Epochs without improvement after which the training stops and restores the best weights.
    """
    stopping = keras.callbacks.EarlyStopping(patience=stop_after, restore_best_weights=True)
    if schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps), [stopping]
    return learning_rate, [keras.callbacks.ReduceLROnPlateau(factor=factor, patience=patience), stopping]
