"""The supervisor of local jobs: that of machines without a batch manager, run from where it is installed."""

from __future__ import annotations

import sys

from hail_batch_jupyter.cluster.plugins.nobatch.pybatch_manager import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
