"""`python -m zcluster.lab.fake_switch PLAN`: runs the fake switch of a plan file."""

from __future__ import annotations

import sys
from pathlib import Path

from zcluster.errors import ZclusterError
from zcluster.lab.fake_switch.process import run_switch
from zcluster.lab.fake_switch.settings import read_plan


def main() -> int:
    """Its exit status."""
    if len(sys.argv) != 2:
        print("usage: python -m zcluster.lab.fake_switch PLAN", file=sys.stderr)
        return 2
    try:
        run_switch(read_plan(Path(sys.argv[1])))
    except (ZclusterError, OSError) as problem:
        print(f"fake switch: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
