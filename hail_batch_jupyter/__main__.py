"""`python -m hail_batch_jupyter`."""

from __future__ import annotations

import sys

from hail_batch_jupyter.cli import main

if __name__ == "__main__":
    sys.exit(main())
