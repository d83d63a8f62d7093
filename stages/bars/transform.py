"""Decode the pictures once, cut out their centres and shrink them (Bhambra et al. 2022, section 2)."""

from pathlib import Path

from skylight import params
from skylight.errors import script
from skylight.galaxies.arrays import PARTS
from skylight.galaxies.transform import write_part
from skylight.outputs import writing
from skylight.rejected import RejectionLog


@script
def main() -> None:
    bars = params.load().bars
    settings = bars.transform
    with writing(Path("data/processed/bars")) as folder:
        folder.mkdir()
        with RejectionLog(folder / "rejected.csv") as log:
            for part in PARTS:
                count = write_part(Path(bars.data.path), part, settings.crop, settings.size, folder, log)
                if count:  # a survey may have no test pictures
                    log.check(count, settings.max_rejected, "bars.transform.max_rejected", f"{part} pictures")


if __name__ == "__main__":
    main()
