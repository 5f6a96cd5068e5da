"""It learns: on real texts the loss falls below what counting pairs of tokens gives, and below a fixed bar."""

from pathlib import Path

import pytest

from tests.benchmarks.learning import learn

BARS = {
    # nats per token, measured at this number of steps and rounded up by a few hundredths
    "tinyshakespeare.txt": (300, 250, 9.9),
    "french-novels": (2048, 250, 9.9),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BARS)
def test_the_validation_loss_falls_below_the_bigram_and_the_bar(real_text: Path, name: str) -> None:
    vocabulary, steps, bar = BARS[name]
    loss, bigram = learn(real_text / name, vocabulary, steps)
    assert loss < bigram
    assert loss < bar
