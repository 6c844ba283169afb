#!/usr/bin/env python3
"""The bundled Python packages with their licences, as lines of debian/copyright.

python packaging/debian/licences.py SITE-PACKAGES
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distributions

LONGEST = 60


def licence(found: Distribution) -> str:
    """As short a name as the package gives: an SPDX expression, a classifier, or the first line of its field."""
    told = found.metadata
    named, field = ((told.get_all(key) or [""])[0] for key in ("License-Expression", "License"))
    classified = [
        line.rpartition(" :: ")[2]
        for line in told.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    return named or " or ".join(classified) or (field or "see its files").splitlines()[0][:LONGEST]


def main() -> None:
    """Print a Comment paragraph for each, in the order of their names."""
    rows = {each.metadata["Name"]: each for each in distributions(path=[sys.argv[1]])}
    for name in sorted(rows, key=str.lower):
        if name == "zcluster":
            continue
        short = re.sub(r"[^A-Za-z0-9.+-]+", "-", licence(rows[name])).strip("-")
        print(f"\nFiles: usr/lib/zcluster/lib/python3*/site-packages/{name.replace('-', '_').lower()}*")
        print(f"Copyright: the authors of {name} {rows[name].version}")
        print(f"License: {short}\n The text is in the dist-info directory of {name}, beside its files.")


if __name__ == "__main__":
    main()
