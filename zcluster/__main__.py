"""`python -m zcluster` is the `zcluster` command."""

from __future__ import annotations

from zcluster.cli import main

main()
