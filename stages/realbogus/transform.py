"""Alert packets to normalised triplets, as braai takes them (Duev et al. 2019, section 3).

python -m stages.realbogus.transform                              # the labelled survey of realbogus.data
python -m stages.realbogus.transform night/ --out triplets/       # other packets, without labels
tar -xzOf ztf_public_20200202.tar.gz | python -m stages.realbogus.transform - --out triplets/
"""

import argparse
from pathlib import Path

from skylight import params
from skylight.alerts.triplets import transform
from skylight.errors import InputError, script
from skylight.outputs import save_json, writing

DATA, METRICS = Path("data/processed/realbogus"), Path("out/realbogus/metrics/transform.json")


@script
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packets", nargs="*", type=Path, help="files, folders, or - for the standard input")
    parser.add_argument("--out", type=Path, help="folder for the triplets of these packets")
    arguments = parser.parse_args()
    if bool(arguments.packets) != bool(arguments.out):
        raise InputError("packets and --out: give both or neither")

    realbogus = params.load().realbogus
    max_rejected = realbogus.transform.max_rejected
    if arguments.packets:
        with writing(arguments.out) as folder:
            print(transform(arguments.packets, None, max_rejected, folder))
        return
    with writing(DATA) as folder:
        counts = transform([Path(realbogus.data.path)], Path(realbogus.data.labels), max_rejected, folder)
    save_json(METRICS, counts)


if __name__ == "__main__":
    main()
