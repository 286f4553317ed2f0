"""Work that can be left off between its steps."""

from collections.abc import Generator
from typing import TypeVar

_Answer = TypeVar("_Answer")


def answer_of(steps: Generator[None, None, _Answer]) -> _Answer:
    """Take all steps and return what came of them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: _Answer = end.value
            return answer
