"""Make normalised triplets of the survey's alert packets, as braai does (Duev et al. 2019, section 3)."""

from pathlib import Path

from skylight import params
from skylight.alerts.triplets import write_triplets
from skylight.errors import script
from skylight.outputs import save_json, writing

DATA, METRICS = Path("data/processed/realbogus"), Path("out/realbogus/metrics/transform.json")


@script
def main() -> None:
    realbogus = params.load().realbogus
    packets, labels = Path(realbogus.data.path), Path(realbogus.data.labels)
    with writing(DATA) as folder:
        counts = write_triplets([packets], labels, realbogus.transform.max_rejected, folder)
    save_json(METRICS, counts)


if __name__ == "__main__":
    main()
