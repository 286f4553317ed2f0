"""``python -m napari_xmag.cli``."""

import sys

from napari_xmag.cli import main

sys.exit(main())
