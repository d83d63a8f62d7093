"""Write the normalised triplets of alert packets.

    skylight triplets night/ --out triplets/
    skylight triplets ztf_public_20200202.tar.gz --out triplets/

FILE is a packet, a tar archive of packets, a folder (all .avro files in it and below it), or - for the standard input.
A triplet is the input of the real-bogus network. DIR gets triplets.npy (N, 63, 63, 3; science, reference, difference),
candid.npy, objectid.npy and rejected.csv with the packets that cannot be used. Nothing is written if more than the
share realbogus.transform.max_rejected of params.yaml is rejected.
"""

import argparse
from pathlib import Path

from apps.files import Problems, check_folder, existing
from skylight.child import Child
from skylight.outputs import writing_new_folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files and options of this command."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="packets, tar archives, folders, or -")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for the arrays")


def run(arguments: argparse.Namespace) -> int:
    """Write the triplets and return the exit status."""
    from skylight import params
    from skylight.alerts.triplets import write_triplets

    check_folder("--out", arguments.out)
    max_rejected, problems = params.load().realbogus.transform.max_rejected, Problems()
    paths = existing(arguments.files, problems, folders=True)
    if not paths:
        return problems.status
    with writing_new_folder(arguments.out) as folder, Child("skylight.alerts.triplets") as child:
        counts = write_triplets(paths, None, max_rejected, folder, child)
    print(f"{counts['triplets']} triplets, {counts['rejected']} packets rejected")
    return 1 if problems.count or counts["rejected"] else 0
