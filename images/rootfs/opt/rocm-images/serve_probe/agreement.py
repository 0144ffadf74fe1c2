"""How far the tokens of two servers agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from image_servers import Generation

# In nats. Where two tokens differ, graph and eager must have been this undecided between them.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Agreement:
    """How far tokens of two runs agree: `equal` of `total`; the largest difference in nats."""

    equal: int
    total: int
    difference: float
    within: bool

    @property
    def words(self) -> str:
        return (
            f"{self.equal} of {self.total} tokens equal up to the first difference; largest "
            f"difference in log-probability {self.difference:.4g} (at most {TOLERANCE})."
        )


def agree(first: Sequence[Generation], second: Sequence[Generation]) -> Agreement:
    """Compares token by token up to the first that differs; what comes after it is another text.

    Log-probabilities of equal tokens must agree within TOLERANCE, and so must those of the two
    tokens at the first difference: else it was no near-tie.
    """
    equal = total = 0
    difference = 0.0
    whole = len(first) == len(second)
    for one, other in zip(first, second, strict=False):
        total += max(len(one.tokens), len(other.tokens))
        whole = whole and len(one.tokens) == len(other.tokens)
        pairs = zip(one.tokens, other.tokens, one.logprobs, other.logprobs, strict=False)
        for token, other_token, logprob, other_logprob in pairs:
            apart = abs(logprob - other_logprob)
            # A difference that is no number is no agreement; max() would lose it.
            difference = max(difference, math.inf if math.isnan(apart) else apart)
            if token != other_token:
                break
            equal += 1
    return Agreement(equal, total, difference, whole and total > 0 and difference <= TOLERANCE)
