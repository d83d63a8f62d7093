"""Chunks to arrays for the networks: every stamp scaled to [0, 1], bad pixels 0, bad candidates left out and listed."""

from pathlib import Path

import pandas as pd

from skylight import params
from skylight.candidates.hits import PARTS, scale_part
from skylight.errors import InputError, script
from skylight.outputs import save_json, save_table, writing

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")


@script
def main() -> None:
    data = params.load().supernovae.data
    counts, rejected = {}, []
    with writing(DATA) as folder:
        folder.mkdir()
        for part in PARTS:
            kept, bad = scale_part(Path(data.path) / part, folder / f"{part}.npy")
            kept.to_csv(folder / f"{part}.csv", index=False, float_format="%.4g")
            rejected.append(bad.assign(part=part))
            counts[part] = {"real": int(kept["label"].sum()), "artifacts": int((kept["label"] == 0).sum())}
            counts[part]["rejected"] = len(bad)
        rejected = pd.concat(rejected)[["part", "chunk", "row", "reason"]]
        for row in rejected.head(20).itertuples():
            print(f"skipped {row.part}/{row.chunk} row {row.row}: {row.reason}")
        if len(rejected) > data.max_rejected:
            first = rejected.iloc[0]
            raise InputError(
                f"supernovae.data.max_rejected: {len(rejected)} candidates cannot be used, more than "
                f"{data.max_rejected}; the first is {first['part']}/{first['chunk']} row {first['row']}: "
                f"{first['reason']}"
            )
    save_table(OUT / "tables/rejected.csv", rejected)
    save_json(OUT / "metrics/transform.json", counts)


if __name__ == "__main__":
    main()
