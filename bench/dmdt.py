"""dmdt images: the published algorithm written literally, light-curve called directly, and `light_curves.dmdt`.

The ideal is the counting by light-curve, to which `light_curves.dmdt` adds the normalisation. The literal algorithm
runs on a few of the light curves, and its time is multiplied to that for all.
"""

import light_curve as lc
import numpy as np

from bench.timing import medians, report
from skylight import params
from skylight.light_curves.curve import light_curve
from skylight.light_curves.dmdt import DmDt

OBJECTS, POINTS, LITERAL = 300, 250, 6


def literal(curve, dm_edges, dt_edges) -> np.ndarray:
    """Run the published steps: the differences of all pairs in lists, sorted by time, then a 2-D histogram."""
    dm, dt = [], []
    for i in range(len(curve)):
        for j in range(i + 1, len(curve)):
            dm.append(curve.mag[j] - curve.mag[i])
            dt.append(curve.time[j] - curve.time[i])
    dt, dm = zip(*sorted(zip(dt, dm, strict=True)), strict=True)
    counts, _, _ = np.histogram2d(dm, dt, bins=[dm_edges, dt_edges])
    return 255 * counts / (len(curve) * (len(curve) - 1) / 2)


def main() -> None:
    grid = params.load().periodic.dmdt
    rng = np.random.default_rng(0)
    curves = [
        light_curve(rng.uniform(0, 3000, POINTS), rng.normal(15, 0.4, POINTS), np.full(POINTS, 0.1))
        for _ in range(OBJECTS)
    ]
    dmdt = DmDt(grid.dm_edges, grid.dt_edges)
    counter = lc.DmDt(dt=np.array(grid.dt_edges), dm=np.array(grid.dm_edges), dt_type="asis", dm_type="asis", n_jobs=1)
    pairs = [(curve.time, curve.mag) for curve in curves]
    seconds = medians(
        {
            "literal": lambda: [literal(curve, grid.dm_edges, grid.dt_edges) for curve in curves[:LITERAL]],
            "light-curve called directly": lambda: counter.points_many(pairs, sorted=True),
            "skylight": lambda: dmdt.images(curves),
        }
    )
    seconds["literal"] *= OBJECTS / LITERAL
    assert np.allclose(dmdt.images(curves[:2])[1, ..., 0], literal(curves[1], grid.dm_edges, grid.dt_edges))
    report(f"dmdt images of {OBJECTS} light curves of {POINTS} points, one thread", seconds, "skylight")
    rate = OBJECTS * POINTS * (POINTS - 1) / 2 / seconds["skylight"]
    print(f"  {rate / 1e6:.0f} million pairs/s")


if __name__ == "__main__":
    main()
