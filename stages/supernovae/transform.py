"""Chunks to arrays for the networks: scale every stamp to [0, 1], set bad pixels to 0, leave bad candidates out."""

from pathlib import Path

from skylight import params
from skylight.candidates.hits import PARTS, scale_part
from skylight.errors import script
from skylight.outputs import save_json, writing
from skylight.rejected import RejectionLog

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")


@script
def main() -> None:
    supernovae = params.load().supernovae
    survey, max_rejected = Path(supernovae.data.path), supernovae.transform.max_rejected
    counts = {}
    with writing(DATA) as folder:
        folder.mkdir()
        with RejectionLog(folder / "rejected.csv") as rejected:
            for part in PARTS:
                before = rejected.count
                kept = scale_part(survey / part, folder / f"{part}.npy", rejected)
                kept.to_csv(folder / f"{part}.csv", index=False, float_format="%.4g")
                counts[part] = {"real": int((kept["label"] == 1).sum()), "artifacts": int((kept["label"] == 0).sum())}
                counts[part]["rejected"] = rejected.count - before
        total = sum(sum(count.values()) for count in counts.values())
        rejected.check(total, max_rejected, "supernovae.transform.max_rejected", "candidates")
    save_json(OUT / "metrics/transform.json", counts)


if __name__ == "__main__":
    main()
