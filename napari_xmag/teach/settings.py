"""How a classifier is taught; the defaults are those that did best in docs/trials.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TeachSettings:
    """What decides a fit besides the examples.

    Attributes
    ----------
    context
        Let the neighbours of a patch count.
    components
        Principal components of the features that are used.
    by_slide
        Standardize the features of each slide by itself, not all by the same numbers.
    spreading
        Let classes spread to patches of a slide by way of others that look alike.
    strength
        Inverse of the regularisation of the logistic regression.
    reach
        How much less like the examples than they are like one another a patch may be, in standard
        deviations of the latter.
    """

    context: bool = True
    components: int = 64
    by_slide: bool = False
    spreading: bool = True
    strength: float = 0.03
    reach: float = 2.0
