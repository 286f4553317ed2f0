"""Ways of training are compared on the same slides, seed by seed."""

import json
from pathlib import Path

from compare_training import FIGURES, write_table


def row(out: Path, seed: int, way: str, value: float) -> None:
    """Write the figures of one training, all of them alike."""
    path = out / f"glas-{seed}" / f"{way}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict.fromkeys(FIGURES, value)))


def test_end_to_end_is_compared_with_the_head_of_the_same_seed_and_labels(tmp_path: Path) -> None:
    for seed, (frozen, regions, both) in enumerate([(0.5, 0.8, 0.9), (0.6, 0.7, 0.5)]):
        row(tmp_path, seed, "frozen", frozen)
        row(tmp_path, seed, "regions", regions)
        row(tmp_path, seed, "regions-end-to-end", both)
    row(tmp_path, 2, "regions-end-to-end", 1)  # without a head alone to compare it with
    write_table(tmp_path)
    means, _, gains = (tmp_path / "results.md").read_text().partition("seed by seed")
    assert means.count("| glas | frozen | 2 | 0.550 ± 0.050 |") == 1
    assert means.count("| glas | regions-end-to-end | 3 | 0.800 ± 0.216 |") == 1
    lines = [line for line in gains.splitlines() if line.startswith("| glas")]
    cells = " | ".join(["+0.100, -0.200"] * len(FIGURES))
    assert lines == [f"| glas | regions-end-to-end | 0, 1 | {cells} |"]
