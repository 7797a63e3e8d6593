"""What the tests of the data sets in array files share."""

import numpy as np
import pytest

from dcgan import UserError


def numbers(*shape, below=256) -> np.ndarray:
    return np.random.default_rng(7).integers(0, below, shape, np.uint8)


def refusal(source, *words) -> str:
    """The one sentence with which a source refuses its files; `words` must occur in it."""
    with pytest.raises(UserError) as caught:
        len(source)
    message = str(caught.value)
    assert "expected" in message and "received" in message and "\n" not in message
    for word in words:
        assert str(word) in message
    return message
