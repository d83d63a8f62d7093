"""pix2piXAI: one picture of what a map says about a class, from the maps of many objects of the class.

A pix2pix network (Isola et al. 2017, arXiv:1611.07004) learns to translate an image of a class into its map (Grad-CAM,
saliency, ...). What such a network can learn is what the maps of the class have in common, so its map of the object
that it has learnt best is the picture of the class::

    gan = Pix2Pix((22, 24, 1), width=16)                 # once; compiled once for all classes and maps of this shape
    learnt = class_map(gan, images, maps, training, candidates, epochs=200, seed=0)
    if learnt.reason:                                    # "5 maps to learn from, 20 are needed"
        ...
    learnt.chosen, learnt.own, learnt.generated, learnt.score

with ``training = confident(probabilities, target, 0.8)`` and ``candidates = confident(probabilities, target, 0.98) &
(labels == target)`` as published. All else is the caller's: which objects are held out is a matter of the two masks.

Images are (N, H, W, C), maps (N, H, W, M), of any size that is the same for all; both float32. The GAN learns from and
gives maps as `fractions` of their largest absolute value, so that the shape of a map counts and not its size.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from skimage.metrics import structural_similarity
from tqdm import tqdm

from skylight.errors import InputError

BOTTLENECK = 4
"""The U-Net halves the image until no side is larger: 22 x 24 becomes 3 x 3, 63 x 63 becomes 4 x 4."""

PATCHES = {16: 1, 34: 2, 70: 3}
"""Side of the patches that a PatchGAN judges -> its layers of stride 2 (appendix 6.1.2 of the paper)."""


class Pix2Pix:
    """The conditional GAN of Isola et al. 2017, trained from nothing as often as one likes.

    The weights, the optimizers and the noise start anew at every `train`, and the compiled step stays: dozens of GANs
    of one shape cost one compilation.

    As published: U-Net and PatchGAN of 4 x 4 convolutions, weights drawn from N(0, 0.02), dropout in the inner half
    of the decoder, Adam with beta_1 = 0.5, the loss of the discriminator halved. Not as published: the U-Net stops at
    a bottleneck of up to `BOTTLENECK` pixels instead of 1, since these images are smaller; normalisation is by image,
    which is what batch normalisation is at the published batch of 1; no jitter or mirroring, since the place of a
    pixel has a meaning; and no dropout in `generate`, whose maps depend on the image alone.

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
        An option is out of range.
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
        """Forget everything, then learn to translate images into maps.

        Parameters
        ----------
        images : array
            (N, H, W, C).
        maps : array
            (N, H, W, M), on any scale.
        epochs, batch_size : int
            200 and 1 in the paper.
        seed : int
            Of the weights, the dropout and the order of the images; the same seed gives the same weights.

        Returns
        -------
        dict
            ``generator`` (adversarial part), ``l1`` and ``discriminator``: mean loss of each epoch, (epochs,).

        Raises
        ------
        InputError
            There are no images, they do not fit, a value is not finite, or an option is out of range.
        """
        images = self._checked("images", images, self.shape)
        maps = self._checked("maps", maps, (*self.shape[:2], self.channels))
        if not len(images) or len(images) != len(maps):
            raise InputError(f"maps: must be one an image, and at least one, got {len(maps)} for {len(images)} images")
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
        """Draw new weights and set optimizers and noise to their start, without touching what is compiled."""
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
        """One step of both networks on a batch (eq. 4); the three losses before it, (3,)."""
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
    """Mean binary cross-entropy of logits of any shape against one label for all."""
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), label), logits))


def unet(shape: tuple[int, int, int], channels: int, width: int) -> keras.Model:
    """Build the generator, (N, H, W, C) -> (N, H, W, channels) in -1 ... 1 (appendix 6.1.1).

    An image whose sides the halvings do not divide is padded with 0 at the bottom and on the right, and the map is cut.
    """
    depth = max(1, int(np.ceil(np.log2(max(shape[:2]) / BOTTLENECK))))
    filters = [width * min(2**level, 8) for level in range(depth)]
    padding = [(0, -side % 2**depth) for side in shape[:2]]
    image = layers.Input(shape, name="image")
    x = layers.ZeroPadding2D(padding)(image)
    skipped = []
    for level in range(depth):
        x = layers.LeakyReLU(0.2)(x) if level else x
        # not the innermost layer: the published erratum, since a single pixel less its mean is 0
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
    """Build the discriminator: image and map -> a logit for each patch, high where the map looks real (6.1.2)."""
    pair = [layers.Input(shape, name="image"), layers.Input((*shape[:2], channels), name="map")]
    x = layers.Concatenate()(pair)
    for level in range(strided + 1):
        x = layers.Conv2D(width * 2**level, 4, 2 if level < strided else 1, padding="same", use_bias=not level)(x)
        x = layers.GroupNormalization(-1)(x) if level else x
        x = layers.LeakyReLU(0.2)(x)
    return keras.Model(pair, layers.Conv2D(1, 4, padding="same")(x), name="patchgan")


def fractions(values: np.ndarray, by_channel: bool = False) -> np.ndarray:
    """Divide each of (N, H, W, C) by its largest absolute value, of all channels or each; 0 everywhere stays 0."""
    largest = np.abs(values).max(axis=(1, 2) if by_channel else (1, 2, 3), keepdims=True)
    return values / np.where(largest > 0, largest, 1)


def confident(probabilities: np.ndarray, target: int, at_least: float) -> np.ndarray:
    """Tell which of (N, K) probabilities predict class ``target`` with at least that probability: (N,) bool."""
    return (probabilities.argmax(axis=1) == target) & (probabilities[:, target] >= at_least)


def similarity(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al. 2004) of maps, pair by pair.

    It was made for brightness, which is never negative: its product of means takes the opposite of a map for alike.
    Where one of a pair is below 0 anywhere, both are shifted from -1 ... 1 to 0 ... 1 first.

    Parameters
    ----------
    maps, others : array
        (N, H, W, M) `fractions`, sides of at least 11 pixels.

    Returns
    -------
    array
        (N,), 1 for equal maps; mean over pixels (Gaussian window of sigma 1.5, as in the paper) and channels.
    """
    return np.array([_similarity(*pair) for pair in zip(maps, others, strict=True)])


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    if min(one.min(), other.min()) < 0:
        one, other = (one + 1) / 2, (other + 1) / 2
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(one, other, data_range=1, channel_axis=-1, **wang)


@dataclass(frozen=True)
class ClassMap:
    """What a GAN learnt of one class and map, or why it learnt nothing.

    Attributes
    ----------
    trained_on, candidates : int
        Maps that the GAN was trained on, and those that were compared with what it generates.
    dead : int
        Objects of either kind that were left out, because their map is 0 everywhere: nothing can be learnt from
        them, and nothing is easier to generate.
    reason : str
        Why there is no class map, empty where there is one.
    chosen : int
        Row of the object that was learnt best, -1 without a class map.
    own, generated : array or None
        (H, W, M), the map of that object and the one that the GAN makes of it: the class map. Fractions.
    score : float
        Their structural similarity.
    scores : array
        (candidates,) the structural similarity of all candidates, in the order of the rows.
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
) -> ClassMap:
    """Train a GAN on a class and a map, and choose the object that it has learnt best.

    Parameters
    ----------
    gan : Pix2Pix
        It keeps what it learns until it is trained again, so that `Pix2Pix.generate` may be asked for other objects.
    images, maps : array
        (N, H, W, C) and (N, H, W, M).
    training, candidates : (N,) bool array
        Which objects the GAN is trained on, and which it is tried on. Published: objects predicted as the class with
        at least 0.8, and those that are of the class and were predicted with at least 0.98.
    epochs, batch_size, seed
        As for `Pix2Pix.train`.
    min_objects : int
        Fewer maps to learn from are too few.

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
    return ClassMap(*counts, "", int(candidates[best]), own[best], generated[best], float(scores[best]), scores)
