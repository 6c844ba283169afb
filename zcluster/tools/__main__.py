"""`python -m zcluster.tools` is the tools process."""

from __future__ import annotations

import sys

from zcluster.tools.process import main

sys.exit(main())
