"""dmdt images: a 2-D histogram of the magnitude and time differences of all pairs of points of a light curve.

Source: Mahabal et al. 2017, arXiv:1709.06257, section 3. The pairs are counted by the compiled `light_curve`
library (Malanchev et al. 2021, MNRAS 502, 5147).
"""

from collections.abc import Sequence

import light_curve as lc
import numpy as np

from skylight.light_curves.curve import LightCurve


class DmDt:
    """Transform light curves to dmdt images on a grid of dm and dt.

    A cell counts the pairs of ``dm_edges[i] <= dm < dm_edges[i + 1]``, ``dt_edges[j] <= dt < dt_edges[j + 1]``,
    where ``dm = m_later - m_earlier``. Every interval excludes its upper edge. (`numpy.histogram2d` includes that of
    the last interval.)

    Parameters
    ----------
    dm_edges : sequence of float
        Edges of the rows, ascending, magnitudes.
    dt_edges : sequence of float
        Edges of the columns, ascending, days.
    """

    def __init__(self, dm_edges: Sequence[float], dt_edges: Sequence[float]):
        self.dm_edges = np.asarray(dm_edges, dtype=np.float64)
        self.dt_edges = np.asarray(dt_edges, dtype=np.float64)
        self._counter = lc.DmDt(dt=self.dt_edges, dm=self.dm_edges, dt_type="asis", dm_type="asis", n_jobs=1)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (dm) and columns (dt) of an image."""
        return len(self.dm_edges) - 1, len(self.dt_edges) - 1

    def counts(self, curves: Sequence[LightCurve]) -> np.ndarray:
        """Count the pairs of each light curve: (N, rows, columns) float64 of whole numbers."""
        if not curves:
            return np.zeros((0, *self.shape))
        counts = self._counter.points_many([(curve.time, curve.mag) for curve in curves], sorted=True)
        return counts.transpose(0, 2, 1)

    def images(self, curves: Sequence[LightCurve]) -> np.ndarray:
        """Compute the image of each light curve: (N, rows, columns, 1) float32.

        A cell is ``255 * count / (n (n - 1) / 2)`` for a light curve of n points: its share of all pairs, scaled to
        the range from 0 to 255.
        """
        pairs = np.array([len(curve) * (len(curve) - 1) / 2 for curve in curves])
        scaled = 255 * self.counts(curves) / pairs[:, None, None] if curves else self.counts(curves)
        return scaled[..., None].astype(np.float32)
