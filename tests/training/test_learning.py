"""It learns: on real texts the loss falls below what counting pairs of tokens gives, and below a fixed bar."""

from pathlib import Path

import pytest

from tests.benchmarks.learning import learn

BATCH = 8
BARS = {
    # text: (vocabulary, steps, bar in nats per token), the bar 3 % above what was measured on 2 cores in float32
    "tinyshakespeare.txt": (300, 200, 2.41),  # 2.339; bigram 2.973
    "french-novels": (512, 300, 3.395),  # 3.297; bigram 3.569. A larger vocabulary needs more steps than these
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BARS)
def test_the_validation_loss_falls_below_the_bigram_and_the_bar(real_text: Path, name: str) -> None:
    vocabulary, steps, bar = BARS[name]
    loss, bigram = learn(real_text / name, vocabulary, steps, BATCH)
    assert loss < bigram
    assert loss < bar
