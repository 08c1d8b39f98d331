"""``python -m training`` is ``coop-train``."""

import sys

from training.cli import main

sys.exit(main())
