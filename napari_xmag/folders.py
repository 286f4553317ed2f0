"""Where the program keeps what is the user's own: settings, data, and what can be made again.

The variable ``NAPARI_XMAG_HOME`` names one folder for all of it.
"""

import os
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_data_path

HOME_VARIABLE = "NAPARI_XMAG_HOME"
_NAME = "napari-xmag"


def config_folder() -> Path:
    """Return the folder of settings."""
    return _home() or user_config_path(_NAME)


def data_folder() -> Path:
    """Return the folder of what the user made: models, reviews, examples."""
    return _home() or user_data_path(_NAME)


def cache_folder() -> Path:
    """Return the folder of what can be made again: features, graphs, sample slides."""
    return _home() or user_cache_path(_NAME)


def _home() -> Path | None:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) if home else None
