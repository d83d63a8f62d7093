"""The real-bogus score of alert packets, straight from their Avro bytes (not a DVC stage).

    python -m stages.realbogus.score alert.avro night/ --explain explained/
    python -m stages.realbogus.score night/ --weights braai_d6_m9.weights.h5
    tar -xzOf ztf_public_20200202.tar.gz | python -m stages.realbogus.score -

A line an alert: candid and the probability of being real. A packet that cannot be used is named on stderr with the
reason, the others are still scored, and the exit status is 1.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from skylight.alerts.packets import Alert, alerts
from skylight.errors import InputError, script

OUT = Path("out/realbogus")


@script
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packets", nargs="+", type=Path, metavar="PACKET_OR_FOLDER", help="- is the standard input")
    parser.add_argument("--weights", type=Path, default=OUT / "networks/vgg6.weights.h5", help="default: %(default)s")
    parser.add_argument("--explain", type=Path, metavar="DIR", help="write the maps and a figure of each alert")
    arguments = parser.parse_args()

    from skylight.alerts.scoring import score_stream
    from skylight.networks.vgg6 import load_vgg6

    model = load_vgg6(arguments.weights)
    background = read_background() if arguments.explain else None
    unusable = 0
    for some, triplets, scores, rejected in score_stream(model, alerts(arguments.packets)):
        for alert, score in zip(some, scores, strict=True):
            print(f"{alert.candid} {score:.4f}")
        sys.stdout.flush()
        for each in rejected:
            print(f"error: {each.source}: {each.reason}", file=sys.stderr)
        unusable += len(rejected)
        if arguments.explain and some:
            explain(model, some, triplets, scores, background, arguments.explain)
    if unusable:
        sys.exit(1)


def read_background() -> np.ndarray:
    path = OUT / "heatmaps/background.npy"
    if not path.exists():
        raise InputError(f"{path}: missing, SHAP compares with it; `dvc repro realbogus-heatmaps` makes it")
    return np.load(path)


def explain(model, some: list[Alert], triplets: np.ndarray, scores: np.ndarray, background: np.ndarray, folder: Path):
    """Maps for the predicted class (of a network with one output: for the score) and the figure of each alert."""
    from skylight import plotting
    from skylight.alerts.explain import explain_triplets
    from skylight.alerts.plots import nine_panels
    from skylight.alerts.triplets import CLASSES
    from skylight.outputs import writing

    maps = explain_triplets(model, triplets, None, background)
    for index, (alert, score) in enumerate(zip(some, scores, strict=True)):
        of_this = {name: values[index] for name, values in maps.items()}
        explained = "real" if model.output_shape[1] == 1 else CLASSES[int(score >= 0.5)]
        figure = nine_panels(triplets[index], of_this, f"{alert.candid}: score {score:.4f}; maps of {explained}")
        with writing(folder / f"{alert.candid}.npz") as aside:
            np.savez(aside, **of_this)
        with writing(folder / f"{alert.candid}.png") as aside:
            plotting.save(figure, aside)


if __name__ == "__main__":
    main()
