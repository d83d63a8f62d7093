"""Transform light curves to dmdt images and features (Mahabal et al. 2017, section 3).

python -m stages.periodic.transform                # the survey of periodic.data
python -m stages.periodic.transform --survey ztf   # one of periodic.transfer.surveys
"""

import argparse
from pathlib import Path

from skylight import params
from skylight.errors import InputError, script
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.reading import open_survey
from skylight.light_curves.transform import Oversampling, write_arrays
from skylight.outputs import save_json, writing


@script
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--survey", help="a key of periodic.transfer.surveys, in place of periodic.data")
    name = parser.parse_args().survey

    periodic = params.load().periodic
    settings = periodic.transform
    if name is None:
        data, folder, metrics = periodic.data, Path("data/processed/periodic"), "transform"
        oversampling = Oversampling(settings.augmentation, settings.sample_to, settings.seed)
    elif name in periodic.transfer.surveys:
        data, folder = periodic.transfer.surveys[name], Path("data/processed/periodic_transfer") / name
        oversampling, metrics = Oversampling("vanilla", 0, settings.seed), f"transform_{name}"
    else:
        raise InputError(f"periodic.transfer.surveys: no {name!r} (has: {', '.join(periodic.transfer.surveys)})")

    survey = open_survey(data, periodic.classes, training=name is None)
    dmdt = DmDt(periodic.dmdt.dm_edges, periodic.dmdt.dt_edges)
    with writing(folder) as aside:
        counts, rejected, dropped = write_arrays(
            survey, dmdt, periodic.classes, oversampling, settings.max_rejected, aside
        )
        if name is None and (few := [each for each in periodic.classes if counts[each] < 2]):
            raise InputError(
                f"periodic.classes: {counts[few[0]]} usable objects of {few[0]} in periodic.data, the training and the "
                "test need one each; leave the class out"
            )

    rows = {class_name or "unlabelled": count for class_name, count in counts.items()}
    numbers = {"objects": len(survey.labels), "rejected": rejected, "left_out": survey.left_out, "rows": rows}
    if dropped:
        numbers["dropped_rows"] = dropped
    save_json(f"out/periodic/metrics/{metrics}.json", numbers)


if __name__ == "__main__":
    main()
