"""``python -m milter`` is ``coop-verdict``."""

import sys

from milter.cli import main

sys.exit(main())
