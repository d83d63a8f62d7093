"""The image and the mask of a simulated bar agree with its parameters."""

import dataclasses

import numpy as np
import pytest

from skylight.simulations.galaxies import Galaxy, bar_mask, draw_galaxy, render


@pytest.mark.parametrize("seed", range(3))
def test_the_mask_of_a_bar_has_the_length_of_the_bar(seed):
    rng = np.random.default_rng(seed)
    drawn = [draw_galaxy(rng, 8.0) for _ in range(40)]
    galaxy = next(g for g in drawn if g.bar_length > g.petror90)
    rows, columns = bar_mask(galaxy, 424, 0.02).nonzero()
    points = np.stack([rows, columns], axis=1)
    longest = np.sqrt(((points[:, None] - points[None, :]) ** 2).sum(axis=-1).max())
    assert longest * 0.02 * galaxy.petror90 == pytest.approx(galaxy.bar_length, rel=0.08)
    assert not bar_mask(dataclasses.replace(galaxy, bar_fraction=0.0), 424, 0.02).any()


def test_the_light_of_a_bar_is_inside_its_mask():
    """The images of a galaxy with and without its bar differ most inside the mask."""
    galaxy = Galaxy(
        petror90=15.0, r_mag=15.0, seeing=1.2, cos_inclination=0.8, position_angle=0.7, disc_fraction=0.7,
        disc_scale=0.3, bulge_radius=0.07, bulge_index=2.0, bar_fraction=0.2, bar_radius=0.5, bar_axis_ratio=0.3,
        bar_angle=0.5, arm_fraction=0.0, arm_count=0, pitch=0.3, arm_sharpness=1.0, ring_fraction=0.0,
        clumpiness=0.0, dust_lane=0.0, companion=0.0, artifact=False,
    )  # fmt: skip
    barless = dataclasses.replace(galaxy, bar_fraction=0.0, disc_fraction=0.9)
    with_bar, without = (
        np.asarray(render(g, 424, 0.02, np.random.default_rng(0)), dtype=float).mean(axis=2) for g in (galaxy, barless)
    )
    mask = bar_mask(galaxy, 424, 0.02)
    gain = with_bar - without
    assert gain[mask].mean() > 20 * abs(gain[~mask].mean())
