"""Pictures of a map: over the input, and alone."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from apps.service.inputs import Sample

FOR, AGAINST = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)  # orange and blue of Okabe & Ito 2008
SHORTEST = 224
"""Smaller pictures are enlarged by a whole factor, so that their pixels stay squares."""
SIGNS = {"both": (-np.inf, np.inf), "positive": (0, np.inf), "negative": (-np.inf, 0)}


@dataclass(frozen=True)
class Style:
    """How a map is drawn: its opacity, the percentile of the absolute values at which it is clipped, and its signs."""

    opacity: float = 0.7
    clip: float = 99.5
    sign: str = "both"


def picture(sample: Sample) -> np.ndarray:
    """Return what a network saw, (H, W, 3) uint8; channels with pictures of their own are side by side."""
    if not sample.panels:
        return upright(sample, sample.picture)
    return np.repeat(side_by_side(upright(sample, sample.picture))[..., None], 3, axis=-1)


def strengths(sample: Sample, maps: np.ndarray, style: Style) -> np.ndarray:
    """Return a map (H, W, C) as numbers in [-1, 1] for each pixel of `picture`."""
    values = np.nan_to_num(upright(sample, maps), posinf=0, neginf=0)
    whole = side_by_side(np.broadcast_to(values, sample.picture.shape)) if sample.panels else values.sum(axis=-1)
    values = np.clip(whole, *SIGNS[style.sign])
    limit = np.percentile(np.abs(values), style.clip) or np.abs(values).max() or 1
    return np.clip(values / limit, -1, 1)


def overlay(sample: Sample, maps: np.ndarray, style: Style) -> np.ndarray:
    """Draw a map over its picture: orange where the values are positive, blue where they are negative."""
    values = strengths(sample, maps, style)[..., None]
    colour = np.where(values > 0, np.uint8(FOR), np.uint8(AGAINST))
    share = style.opacity * np.abs(values)
    return np.rint(picture(sample) * (1 - share) + colour * share).astype(np.uint8)


def alone(sample: Sample, maps: np.ndarray, style: Style) -> np.ndarray:
    """Draw a map on white."""
    values = strengths(sample, maps, style)[..., None]
    share = np.abs(values)
    return np.rint(255 * (1 - share) + np.where(values > 0, np.uint8(FOR), np.uint8(AGAINST)) * share).astype(np.uint8)


VIEWS = {"overlay": overlay, "map": alone, "picture": lambda sample, maps, style: picture(sample)}
"""The pictures of an explanation, by name."""


def png(pixels: np.ndarray) -> bytes:
    """Return a picture as PNG, small ones enlarged."""
    factor = -(-SHORTEST // min(pixels.shape[:2]))
    file = io.BytesIO()
    Image.fromarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1)).save(file, "PNG", compress_level=3)
    return file.getvalue()


def npy(maps: np.ndarray) -> bytes:
    """Return a map as the bytes of a ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, maps)
    return file.getvalue()


def upright(sample: Sample, rows: np.ndarray) -> np.ndarray:
    """Return rows with the upper one first."""
    return rows[::-1] if sample.from_below else rows


def side_by_side(channels: np.ndarray) -> np.ndarray:
    """Return (H, W, C) as (H, C W)."""
    return np.concatenate(np.moveaxis(channels, -1, 0), axis=1)
