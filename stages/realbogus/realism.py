"""Compare ten quantities of the survey's alerts with those of real packets, if `realbogus.realism` names some."""

from pathlib import Path

import pandas as pd

from skylight import params
from skylight.alerts import plots
from skylight.alerts.archives import read_alerts
from skylight.alerts.realism import compare, measured
from skylight.alerts.triplets import read_labels
from skylight.errors import InputError, script
from skylight.outputs import save_table
from skylight.plotting import save

OUT = Path("out/realbogus")


@script
def main() -> None:
    realbogus = params.load().realbogus
    data, packets = realbogus.data, realbogus.realism.packets
    tables = {"this survey": quantities(data.path, data.labels)}
    if packets:
        tables["real packets"] = quantities(packets.path, packets.labels)
    else:
        print("realbogus.realism.packets is null: no real packets to compare with")
    own, real = tables["this survey"], tables.get("real packets", tables["this survey"].head(0))
    save_table(OUT / "metrics/realism.csv", compare(own, real))
    save(plots.realism(tables), OUT / "figures_realism/realism.png")


def quantities(path: str, labels: str) -> pd.DataFrame:
    found = measured(read_alerts([Path(path)]), read_labels(Path(labels)))
    if found.empty:
        raise InputError(f"{path}: has no usable alert with a label in {labels}")
    return found


if __name__ == "__main__":
    main()
