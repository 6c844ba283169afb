"""`python -m zcluster.data` is the data process."""

from __future__ import annotations

import sys

from zcluster.data.process import main

sys.exit(main())
