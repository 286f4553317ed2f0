"""How many examples hypothesis tries: few in a run of all tests, more where it is asked for."""

import os

from hypothesis import HealthCheck, settings

_EXAMPLES = int(os.environ.get("XMAG_EXAMPLES", "0"))

settings.register_profile(
    "fuzz",
    max_examples=_EXAMPLES or 12,
    # the same examples each time, unless more are asked for
    derandomize=not _EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")
