"""Training on the dataset of these tests, which should come out right or be refused."""

from __future__ import annotations

from commands import Commands

INLINE, LOCAL = ("-r", "inline"), ("-r", "local", "--workers", "2")
TRAIN = ("train", "rows", "--model", "m", "--l2", "0.01")


def refuses(mr_ml: Commands, runner: tuple[str, ...], *fragments: str) -> str:
    """Training ends with an exit code for bad data or an incomplete pass, says why, and publishes nothing."""
    before = versions(mr_ml)
    found = mr_ml.run(*TRAIN, *runner)
    assert found.code in (65, 70), found
    assert found.out == ""
    assert any(fragment in found.err for fragment in fragments), found.err
    assert versions(mr_ml) == before
    return found.err


def versions(mr_ml: Commands) -> list[str]:
    return sorted(path.name for path in mr_ml.root.glob("models/m/v*.json"))


def trains(mr_ml: Commands, runner: tuple[str, ...], expected: str) -> None:
    found = mr_ml(*TRAIN, *runner)
    assert mr_ml.coef(f"m@{found['version']}").sha256 == expected
