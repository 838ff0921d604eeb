"""Whatever a document says under a right checksum, a command ends with a sentence or with the same result as before."""

from __future__ import annotations

import os
from pathlib import Path

from sealed_nonsense import World, attempts

N_COMMANDS = int(os.environ.get("MR_ML_FUZZ", "60"))


def test_no_sealed_nonsense_is_a_defect_or_another_result(tmp_path: Path) -> None:
    found = list(attempts(World.made(tmp_path), N_COMMANDS, seed=1))
    assert not [str(attempt) for attempt in found if attempt.crashed or attempt.deceived]
    # and most of it is told
    assert sum(attempt.outcome.code == 65 for attempt in found) > N_COMMANDS / 2
