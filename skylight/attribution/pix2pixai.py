"""pix2piXAI: one picture of what a kind of map shows for a class, learnt from the maps of many objects of the class.

A pix2pix network (Isola et al. 2017, arXiv:1611.07004) learns to translate an image of a class into its map (Grad-CAM,
saliency, ...). It can only learn what the maps of the class have in common. The class map is the map that it generates
for the object whose own map it reproduces best::

    gan = Pix2Pix((22, 24, 1), width=16)                 # once; compiled once for all classes and maps of this shape
    learnt = class_map(gan, images, maps, training, candidates, epochs=200, seed=0)
    if learnt.reason:                                    # "5 maps to learn from, 20 are needed"
        ...
    learnt.chosen, learnt.own, learnt.generated, learnt.score

As published, ``training = confident(probabilities, target, 0.8)`` and ``candidates = confident(probabilities, target,
0.98) & (labels == target)``. `class_maps` does this for many groups of objects and kinds of map.

Images are (N, H, W, C) and maps (N, H, W, M), float32, all of the same size. The GAN is trained on maps divided by
their largest absolute value (`fractions`), and generates such maps: it learns the shape of a map and not its scale.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tqdm import tqdm

from skylight.errors import InputError

BOTTLENECK = 4
"""The U-Net halves the image until no side is larger than this: 22 x 24 becomes 3 x 3, 63 x 63 becomes 4 x 4."""

PATCHES = {16: 1, 34: 2, 70: 3}
"""Side of the patches that a PatchGAN judges -> number of its layers of stride 2 (appendix 6.1.2 of the paper)."""


class Pix2Pix:
    """The conditional GAN of Isola et al. 2017. It can be trained many times, each time from new weights.

    Every call of `train` resets the weights, the optimizers and the random state, but reuses the compiled step: dozens
    of GANs of one shape cost one compilation.

    As published: U-Net and PatchGAN of 4 x 4 convolutions, weights drawn from N(0, 0.02), dropout in the inner half
    of the decoder, Adam with beta_1 = 0.5, the loss of the discriminator halved. Not as published:

    - The U-Net stops at a bottleneck of up to `BOTTLENECK` pixels instead of 1, because these images are smaller.
    - Each image is normalised by itself; batch normalisation does so too at the published batch size of 1.
    - No jitter or mirroring, because the position of a pixel has a meaning.
    - No dropout in `generate`, so that a map depends on the image alone.

    Parameters
    ----------
    shape : (int, int, int)
        Rows, columns and channels of an image.
    channels : int
        Channels of a map.
    width : int
        Filters of the first layers; 64 in the paper.
    patch : int
        Side of the patches that the discriminator judges, in pixels: 16, 34 or 70.
    l1_weight : float
        Weight of the mean absolute difference beside the adversarial loss; 100 in the paper.
    learning_rate : float
        Of both networks; 2e-4 in the paper.

    Raises
    ------
    InputError
        An option is out of range, or Keras is set to channels_first.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        channels: int = 1,
        *,
        width: int = 64,
        patch: int = 16,
        l1_weight: float = 100.0,
        learning_rate: float = 2e-4,
    ):
        if keras.config.image_data_format() != "channels_last":
            raise InputError(
                "Pix2Pix: Keras is set to channels_first; keras.config.set_image_data_format('channels_last')"
            )
        for name, number in (("channels", channels), ("width", width)):
            if number < 1:
                raise InputError(f"{name}: must be at least 1, got {number}")
        if patch not in PATCHES:
            raise InputError(f"patch: must be one of {', '.join(map(str, PATCHES))}, got {patch}")
        self.shape, self.channels, self.l1_weight = shape, channels, l1_weight
        self.generator = unet(shape, channels, width)
        self.discriminator = patchgan(shape, channels, width, PATCHES[patch])
        self.optimizers = [keras.optimizers.Adam(learning_rate, beta_1=0.5) for _ in range(2)]
        for optimizer, network in zip(self.optimizers, (self.generator, self.discriminator), strict=True):
            optimizer.build(network.trainable_variables)
        images, maps = tf.TensorSpec([None, *shape]), tf.TensorSpec([None, *shape[:2], channels])
        self.step = tf.function(self._step, input_signature=[images, maps])
        self.translate = tf.function(lambda some: self.generator(some, training=False), input_signature=[images])

    def train(
        self, images: np.ndarray, maps: np.ndarray, *, epochs: int = 200, batch_size: int = 1, seed: int = 0
    ) -> dict[str, np.ndarray]:
        """Reset the network and train it to translate images into maps.

        Parameters
        ----------
        images : array
            (N, H, W, C).
        maps : array
            (N, H, W, M), on any scale.
        epochs, batch_size : int
            200 and 1 in the paper.
        seed : int
            Of the initial weights, the dropout and the order of the images. Equal seeds give equal weights.

        Returns
        -------
        dict
            ``generator`` (adversarial part), ``l1`` and ``discriminator``: mean loss of each epoch, (epochs,).

        Raises
        ------
        InputError
            There are no images, shapes do not fit, a value is not finite, or an option is out of range.
        """
        images = self._checked("images", images, self.shape)
        maps = self._checked("maps", maps, (*self.shape[:2], self.channels))
        if not len(images) or len(images) != len(maps):
            raise InputError(f"maps: must be one per image, and at least one, got {len(maps)} for {len(images)} images")
        for name, number in (("epochs", epochs), ("batch_size", batch_size)):
            if number < 1:
                raise InputError(f"{name}: must be at least 1, got {number}")
        random = np.random.default_rng(seed)
        self._reset(random)
        images, maps = fractions(images, by_channel=True), fractions(maps)
        curves = np.empty((epochs, 3))
        for epoch in tqdm(range(epochs), desc="pix2pix", unit="epoch", delay=3, leave=False, disable=None):
            order = random.permutation(len(images))
            cuts = range(batch_size, len(order), batch_size)
            losses = [(len(rows), self.step(images[rows], maps[rows])) for rows in np.split(order, cuts)]
            curves[epoch] = np.average([values for _, values in losses], axis=0, weights=[n for n, _ in losses])
        return dict(zip(("generator", "l1", "discriminator"), curves.T, strict=True))

    def generate(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Translate images (N, H, W, C) into maps (N, H, W, M) float32, as fractions in -1 ... 1."""
        images = fractions(self._checked("images", images, self.shape), by_channel=True)
        parts = [self.translate(images[start : start + batch_size]) for start in range(0, len(images), batch_size)]
        return np.concatenate([np.empty((0, *self.shape[:2], self.channels), np.float32), *parts])

    def _checked(self, name: str, values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        values = np.asarray(values, np.float32)
        if values.shape[1:] != tuple(shape):
            raise InputError(f"{name}: must be (N, {', '.join(map(str, shape))}), got {values.shape}")
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1)))
            raise InputError(f"{name}: row {bad} is not finite")
        return values

    def _reset(self, random: np.random.Generator) -> None:
        """Draw new weights and reset optimizers and random state, in place: the compiled functions stay valid."""
        for network in (self.generator, self.discriminator):
            for variable in network.variables:
                if variable.name == "kernel":
                    variable.assign(random.normal(0, 0.02, variable.shape).astype(np.float32))
                elif variable.name == "seed_generator_state":
                    variable.assign(np.array([random.integers(2**32), 0], np.uint32))
                else:
                    variable.assign(np.full(variable.shape, variable.name == "gamma", np.float32))
        for optimizer in self.optimizers:
            for variable in optimizer.variables:
                if variable.name != "learning_rate":
                    variable.assign(tf.zeros_like(variable))

    def _step(self, images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
        """Train both networks on a batch (eq. 4); return the three losses before the step, (3,)."""
        with tf.GradientTape(persistent=True) as tape:
            generated = self.generator(images, training=True)
            real, fake = (self.discriminator([images, some], training=True) for some in (maps, generated))
            adversarial = cross_entropy(fake, 1.0)
            l1 = tf.reduce_mean(tf.abs(maps - generated))
            to_generator = adversarial + self.l1_weight * l1
            to_discriminator = (cross_entropy(real, 1.0) + cross_entropy(fake, 0.0)) / 2
        weights = [network.trainable_variables for network in (self.generator, self.discriminator)]
        slopes = [
            tape.gradient(loss, some) for loss, some in zip((to_generator, to_discriminator), weights, strict=True)
        ]
        for optimizer, slope, some in zip(self.optimizers, slopes, weights, strict=True):
            optimizer.apply(slope, some)
        return tf.stack([adversarial, l1, to_discriminator])


def cross_entropy(logits: tf.Tensor, label: float) -> tf.Tensor:
    """Return the mean binary cross-entropy of logits of any shape against one label for all."""
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), label), logits))


def unet(shape: tuple[int, int, int], channels: int, width: int) -> keras.Model:
    """Build the generator, (N, H, W, C) -> (N, H, W, channels) in -1 ... 1 (appendix 6.1.1).

    If the sides cannot be halved often enough, the image is padded with 0 at the bottom and on the right, and the map
    is cropped.
    """
    depth = max(1, int(np.ceil(np.log2(max(shape[:2]) / BOTTLENECK))))
    filters = [width * min(2**level, 8) for level in range(depth)]
    padding = [(0, -side % 2**depth) for side in shape[:2]]
    image = layers.Input(shape, name="image")
    x = layers.ZeroPadding2D(padding)(image)
    skipped = []
    for level in range(depth):
        x = layers.LeakyReLU(0.2)(x) if level else x
        # not the innermost layer (erratum of the paper): a single pixel minus its mean is 0
        normalised = 0 < level < depth - 1
        x = layers.Conv2D(filters[level], 4, 2, padding="same", use_bias=not normalised)(x)
        x = layers.GroupNormalization(-1)(x) if normalised else x
        skipped.append(x)
    for level in reversed(range(depth - 1)):
        x = layers.Conv2DTranspose(filters[level], 4, 2, padding="same", use_bias=False)(layers.ReLU()(x))
        x = layers.GroupNormalization(-1)(x)
        x = layers.Dropout(0.5)(x) if level >= depth / 2 else x
        x = layers.Concatenate()([x, skipped[level]])
    x = layers.Conv2DTranspose(channels, 4, 2, padding="same", activation="tanh")(layers.ReLU()(x))
    return keras.Model(image, layers.Cropping2D(padding)(x), name="unet")


def patchgan(shape: tuple[int, int, int], channels: int, width: int, strided: int) -> keras.Model:
    """Build the discriminator: image and map -> one logit per patch, high where the map looks real (6.1.2)."""
    pair = [layers.Input(shape, name="image"), layers.Input((*shape[:2], channels), name="map")]
    x = layers.Concatenate()(pair)
    for level in range(strided + 1):
        x = layers.Conv2D(width * 2**level, 4, 2 if level < strided else 1, padding="same", use_bias=not level)(x)
        x = layers.GroupNormalization(-1)(x) if level else x
        x = layers.LeakyReLU(0.2)(x)
    return keras.Model(pair, layers.Conv2D(1, 4, padding="same")(x), name="patchgan")


def fractions(values: np.ndarray, by_channel: bool = False) -> np.ndarray:
    """Divide each of (N, H, W, C) by its largest absolute value, over all channels or of each; 0 everywhere stays 0."""
    largest = np.abs(values).max(axis=(1, 2) if by_channel else (1, 2, 3), keepdims=True)
    return values / np.where(largest > 0, largest, 1)


def confident(probabilities: np.ndarray, target: int, at_least: float) -> np.ndarray:
    """Return which of (N, K) probabilities predict class ``target`` with at least ``at_least``: (N,) bool."""
    return (probabilities.argmax(axis=1) == target) & (probabilities[:, target] >= at_least)


def similarity(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the structural similarity (Wang et al. 2004) of maps, pair by pair.

    The measure was made for brightness, which is never negative; it would call a map and its negative similar. If a
    value of a pair is negative, both maps are first shifted from -1 ... 1 to 0 ... 1.

    Parameters
    ----------
    maps, others : array
        (N, H, W, M) `fractions`, sides of at least 11 pixels.

    Returns
    -------
    array
        (N,), 1 for equal maps; the mean over pixels (Gaussian window of sigma 1.5, as in the paper) and channels.

    Notes
    -----
    Needs scikit-image, which the other functions of this package do not.
    """
    return np.array([_similarity(*pair) for pair in zip(maps, others, strict=True)])


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    from skimage.metrics import structural_similarity

    if min(one.min(), other.min()) < 0:
        one, other = (one + 1) / 2, (other + 1) / 2
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(one, other, data_range=1, channel_axis=-1, **wang)


@dataclass(frozen=True)
class ClassMap:
    """What a GAN learnt of one class and map, or why there is no class map.

    Attributes
    ----------
    trained_on, candidates : int
        Number of maps that the GAN was trained on, and of those compared with what it generates.
    dead : int
        Number of objects that were left out because their map is 0 everywhere: nothing can be learnt from such a
        map, and it is the easiest to generate.
    reason : str
        Why there is no class map; empty if there is one.
    chosen : int
        Row of the object whose map is reproduced best; -1 without a class map.
    own, generated : array or None
        (H, W, M), the map of that object, and the map that the GAN generates for it: the class map. `fractions`.
    score : float
        Structural similarity of the two.
    scores : array or None
        (candidates,) structural similarity of all candidates, in the order of the rows.
    correlation : float
        Pearson correlation of ``own`` and ``generated`` over pixels; NaN where one of them is constant. Known also
        where it is the reason that there is no class map.
    """

    trained_on: int
    candidates: int
    dead: int
    reason: str = ""
    chosen: int = -1
    own: np.ndarray | None = None
    generated: np.ndarray | None = None
    score: float = np.nan
    scores: np.ndarray | None = None
    correlation: float = np.nan


def class_map(
    gan: Pix2Pix,
    images: np.ndarray,
    maps: np.ndarray,
    training: np.ndarray,
    candidates: np.ndarray,
    *,
    epochs: int = 200,
    batch_size: int = 1,
    seed: int = 0,
    min_objects: int = 20,
    min_correlation: float | None = None,
) -> ClassMap:
    """Train a GAN on the maps of a class, and choose the object whose map it reproduces best.

    Parameters
    ----------
    gan : Pix2Pix
        It stays trained until the next training, so that `Pix2Pix.generate` can translate other images.
    images, maps : array
        (N, H, W, C) and (N, H, W, M).
    training, candidates : (N,) bool array
        Objects that the GAN is trained on, and objects to choose from. Published: those predicted as the class with
        a probability of at least 0.8, and those that belong to the class and are predicted with at least 0.98.
    epochs, batch_size, seed
        As for `Pix2Pix.train`.
    min_objects : int
        Smallest number of maps to train on.
    min_correlation : float or None
        Smallest correlation of the generated map with the object's own; ``None`` for any. Not in the paper. It rejects
        pictures that structural similarity accepts: maps that are 0 except in a few pixels are all similar.

    Raises
    ------
    InputError
        The arrays do not fit, or an option is out of range.
    """
    alive = np.any(maps, axis=(1, 2, 3))
    dead = int((~alive & (training | candidates)).sum())
    training, candidates = training & alive, np.flatnonzero(candidates & alive)
    counts = int(training.sum()), len(candidates), dead
    if training.sum() < max(1, min_objects):
        without = f" ({dead} are 0 everywhere)" if dead else ""
        return ClassMap(*counts, f"{training.sum()} maps to learn from{without}, {max(1, min_objects)} are needed")
    if not len(candidates):
        return ClassMap(*counts, "no object is certain enough to be chosen")
    gan.train(images[training], maps[training], epochs=epochs, batch_size=batch_size, seed=seed)
    own, generated = fractions(maps[candidates]), gan.generate(images[candidates])
    scores = similarity(own, generated)
    best = int(scores.argmax())
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(own[best].ravel(), generated[best].ravel())[0, 1])
    if min_correlation is not None and not correlation >= min_correlation:  # NaN is rejected as well
        reason = f"not learnt: correlation {correlation:.2f} of the picture with the object's map"
        return ClassMap(*counts, reason, correlation=correlation)
    picture = own[best], generated[best], float(scores[best]), scores, correlation
    return ClassMap(*counts, "", int(candidates[best]), *picture)


@dataclass(frozen=True)
class Group:
    """Objects that look alike to the network, such as those of one class, and their maps.

    Attributes
    ----------
    name : str
    ids : (N,) array of str
        Identifiers of the objects.
    images : (N, H, W, C) array
    maps : dict
        Kind of map -> (N, H, W, M) array.
    training, candidates : (N,) bool array
        As for `class_map`.
    """

    name: str
    ids: np.ndarray
    images: np.ndarray
    maps: Mapping[str, np.ndarray]
    training: np.ndarray
    candidates: np.ndarray


def class_maps(
    gan: Pix2Pix, groups: Iterable[Group], more: Callable[[Group, str], dict], **options
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Make the class map of every group of objects and kind of map.

    Parameters
    ----------
    gan : Pix2Pix
    groups : iterable of Group
        All with the same kinds of map.
    more : callable
        Maps a group and a kind of map to further columns of the table. It is called for each class map, while the
        GAN is trained on that group and kind.
    **options
        Of `class_map`.

    Returns
    -------
    table : list of dict
        One row per group and kind of map: ``group``, ``map``, the numbers of a `ClassMap` (``trained_on``,
        ``candidates``, ``dead``, ``correlation``) and ``note``, which says why there is no class map. If there is
        one: ``id`` of the object chosen, its ``score``, the ``median_score`` of all candidates, and what ``more`` adds.
    arrays : dict
        ``image`` (groups, kinds, H, W, C) of the object chosen, its ``own`` map and the ``generated`` one
        (groups, kinds, H, W, M), both as `fractions`. NaN where there is no class map.
    """
    table, pictures = [], []
    nothing = [
        np.full((*gan.shape[:2], channels), np.nan, np.float32) for channels in (gan.shape[2], *[gan.channels] * 2)
    ]
    for group in groups:
        for kind, maps in group.maps.items():
            learnt = class_map(gan, group.images, maps, group.training, group.candidates, **options)
            row = {"group": group.name, "map": kind, "trained_on": learnt.trained_on, "candidates": learnt.candidates}
            row |= {"dead": learnt.dead, "correlation": learnt.correlation, "note": learnt.reason}
            if learnt.reason:
                pictures.append(nothing)
            else:
                row |= {"id": group.ids[learnt.chosen], "score": learnt.score, "median_score": np.median(learnt.scores)}
                row |= more(group, kind)
                pictures.append([group.images[learnt.chosen], learnt.own, learnt.generated])
            table.append(row)
            print(f"{group.name}, {kind}: {learnt.reason or f'structural similarity {learnt.score:.3f}'}", flush=True)
    kinds = len(dict.fromkeys(row["map"] for row in table))
    image, own, generated = (np.stack(some).reshape(-1, kinds, *some[0].shape) for some in zip(*pictures, strict=True))
    return table, {"image": image, "own": own, "generated": generated}


def held_out_scores(gan: Pix2Pix, images: np.ndarray, maps: np.ndarray, mean_map: np.ndarray) -> dict[str, float]:
    """Test a trained GAN on objects that it was not trained on, and one map for all of them as a control.

    Parameters
    ----------
    gan : Pix2Pix
    images, maps : array
        (N, H, W, C) and (N, H, W, M). Objects whose map is 0 everywhere are left out.
    mean_map : (H, W, M) array
        The control (`mean_map_score`).

    Returns
    -------
    dict
        ``held_out``, the number of objects, and if there are any ``held_out_score`` and
        ``held_out_score_of_mean_map``: median structural similarity of the generated maps, and of the control.
    """
    alive = np.any(maps, axis=(1, 2, 3))
    if not alive.any():
        return {"held_out": 0}
    return {
        "held_out": int(alive.sum()),
        "held_out_score": float(np.median(similarity(fractions(maps[alive]), gan.generate(images[alive])))),
        "held_out_score_of_mean_map": mean_map_score(maps[alive], mean_map),
    }


def mean_map_score(maps: np.ndarray, mean_map: np.ndarray) -> float:
    """Return the median structural similarity of maps to one map: a GAN has to exceed what the mean map reaches.

    Parameters
    ----------
    maps : (N, H, W, M) array
    mean_map : (H, W, M) array
        Usually the mean of the `fractions` that the GAN was trained on.
    """
    own = fractions(maps)
    return float(np.median(similarity(own, np.broadcast_to(mean_map, own.shape))))
