"""Decode the pictures once, keep their centres, and split the galaxies by class and part (Wu 2020).

``images.npy``, ``galaxies.csv`` (their classes, parts, colours and sizes) and ``statistics.json`` (mean and standard
deviation of the colours of the training part) are what the other stages read.
"""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.galaxies.metallicity_arrays import write_arrays
from skylight.outputs import save_json, writing
from skylight.rejected import RejectionLog

DATA, OUT = Path("data/processed/metallicity"), Path("out/metallicity")


@script
def main() -> None:
    metallicity = params.load().metallicity
    data, settings = metallicity.data, metallicity.transform
    with writing(DATA) as folder:
        folder.mkdir()
        with RejectionLog(folder / "rejected.csv") as log:
            counts = write_arrays(Path(data.path), data.pixel_scale, settings, folder, log)
    save_json(OUT / "metrics/transform.json", counts)


if __name__ == "__main__":
    main()
