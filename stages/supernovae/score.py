"""From raw chunks straight to the probability of a real source, by the trained CAP ensemble (not a DVC stage).

    python -m stages.supernovae.score chunk_0000.npz chunk_0001.pkl
    python -m stages.supernovae.score night/*.npz --out scores.csv --maps relevance/

Chunks need no labels. Candidates that cannot be used are listed on stderr and counted; a chunk that cannot be read is
named there, the others are still scored, and the exit status is 1. The maps, one ``.npy`` a chunk with a row for every
candidate in it (NaN for those skipped), are those of the first network of the ensemble for the class it predicts.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.candidates.hits import good_candidates, measured_snr, scaled
from skylight.errors import InputError, script
from skylight.outputs import save_array, save_table

NETWORKS = Path("out/supernovae/networks")


@script
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chunks", nargs="+", type=Path, metavar="CHUNK", help=".npz or .pkl")
    parser.add_argument("--out", type=Path, help="also write the probabilities, as .csv")
    parser.add_argument("--maps", type=Path, metavar="DIR", help="write the relevance maps of each chunk")
    arguments = parser.parse_args()
    if arguments.out and arguments.out.suffix != ".csv":
        raise InputError(f"--out {arguments.out}: must end in .csv")
    stems = [path.stem for path in arguments.chunks]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if arguments.maps and twice:
        raise InputError(f"--maps {arguments.maps}: two chunks are called {twice}, their maps too")
    supernovae = params.load().supernovae

    from skylight.networks.deep_hits import load_deep_hits

    options = supernovae.network_options["cap"]
    models = [load_deep_hits(NETWORKS / member, **options) for member in supernovae.members["cap"]]
    tables, skipped, broken = [], 0, 0
    for path in arguments.chunks:
        try:
            chunk, rows, bad = good_candidates(path, labelled=False)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            broken += 1
            continue
        for row, reason in bad.items():
            print(f"skipped {path} row {row}: {reason}", file=sys.stderr)
        skipped += len(bad)
        images = scaled(chunk.stamps)
        score = np.mean([model.predict(images, batch_size=500, verbose=0)[:, 1] for model in models], axis=0)
        table = {"chunk": str(path), "row": rows, "snr": measured_snr(chunk.stamps), "probability": score}
        tables.append(pd.DataFrame(table))
        print(tables[-1].round(4).to_string(index=False, header=len(tables) == 1))
        if arguments.maps:
            save_array(arguments.maps / f"{path.stem}.npy", explain(models[0], images, rows, bad, supernovae))
    if skipped:
        print(f"skipped {skipped} candidates", file=sys.stderr)
    if arguments.out and tables:
        save_table(arguments.out, pd.concat(tables))
    if broken:
        sys.exit(1)


def explain(model, images: np.ndarray, rows: np.ndarray, bad: dict, supernovae) -> np.ndarray:
    """The maps (N, 21, 21, 4) of a chunk of N candidates."""
    from skylight.attribution.relevance import lrp

    maps = np.full((len(rows) + len(bad), *images.shape[1:]), np.nan, np.float32)
    maps[rows] = lrp(model, images, rule=supernovae.heatmaps.rule)
    return maps


if __name__ == "__main__":
    main()
