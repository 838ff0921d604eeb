"""All parts one after the other; figures of each as JSON, and all of them as markdown.

python everything.py FOLDER
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PARTS = {"kills": 200, "races": 100, "owners": 60, "full": 100, "clock": 366, "nights": 100, "hostile": 1000}


def markdown(figures: dict[str, dict[str, Any]], build: str) -> str:
    """Return tables of figures, one for each part."""
    lines = [f"Build {build}, Python {platform.python_version()}, {platform.machine()}."]
    for part, found in figures.items():
        lines += ["", f"### {part}", "", "| figure | |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in found.items()]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {number}" for name, number in value.items()) or "none"
    if isinstance(value, list):
        return "<br>".join(map(str, value)).replace("|", "\\|").replace("\n", " ") or "none"
    return str(value)


def main() -> None:
    """Run everything; exit code 1 if anything was found that should not be."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    here = Path(__file__).parent
    build = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=here, check=False
    ).stdout.strip()
    codes = []
    for part, n in PARTS.items():
        file = folder / f"{part}.json"
        done = subprocess.run([sys.executable, str(here / f"{part}.py"), str(n), "--json", str(file)], check=False)
        codes.append(done.returncode)
        figures = {p: json.loads(f.read_text()) for p in PARTS if (f := folder / f"{p}.json").exists()}
        (folder / "figures.md").write_text(markdown(figures, build or "without git"))
    sys.exit(int(any(codes)))


if __name__ == "__main__":
    main()
