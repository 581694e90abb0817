"""``python -m spikeface`` is the command ``spikeface``."""

import sys

from spikeface.cli import main

sys.exit(main())
