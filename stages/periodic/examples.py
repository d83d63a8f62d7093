"""Collect what the figures show of the data: mean dmdt images, and light curves folded at their periods.

Of the test part: the object of each class whose true class gets the highest probability, and the misclassified objects
that get the highest probabilities.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.light_curves import arrays
from skylight.light_curves.periods import best_period, phase
from skylight.light_curves.reading import open_survey
from skylight.light_curves.selection import clearest, misclassified, summarise
from skylight.outputs import read_table, save_array, save_table, write_csv, writing

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    data = arrays.load(DATA).objects()
    save_array(OUT / "examples/mean_dmdt.npy", summarise(data.images[..., 0], data.labels, len(periodic.classes)))
    objects = np.bincount(data.labels, minlength=len(periodic.classes))
    save_table(OUT / "examples/classes.csv", pd.DataFrame({"class": periodic.classes, "objects": objects}))

    predictions = read_table(OUT / "tables/predictions.csv", dtype={"lcid": str}, keep_default_na=False)
    tables = {
        "clearest": clearest(predictions, periodic.classes),
        "misclassified": misclassified(predictions, periodic.examples.max_misclassified),
    }
    class_of = pd.concat(tables.values()).drop_duplicates("lcid").set_index("lcid")["class"]
    survey = open_survey(periodic.data, periodic.classes).only(list(class_of.index))
    curves = {source.id: source.read() for source in survey.sources()}
    periods = {lcid: best_period(curves[lcid], class_name) for lcid, class_name in class_of.items()}
    for name, table in tables.items():
        save_table(OUT / f"examples/{name}.csv", table.assign(period_days=table["lcid"].map(periods)))
    points = [
        pd.DataFrame(
            {
                "lcid": lcid,
                "time": curve.time,
                "phase": phase(curve.time, periods[lcid], curve.mag).round(4),
                "mag": curve.mag,
                "magerr": curve.magerr,
            }
        )
        for lcid, curve in curves.items()
    ]
    with writing(OUT / "examples/light_curves.csv") as aside:  # six digits, as in other tables, are too few for a MJD
        write_csv(aside, pd.concat(points), "%.10g")


if __name__ == "__main__":
    main()
