"""`mr-ml -r hadoop` on a root on a cluster, as tests use it, and what they look for afterwards."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from commands import Commands, Outcome
from commands import copy as copy

from hdfs_layout import Store, open_store


@dataclass(frozen=True)
class ClusterCommands:
    """`mr-ml` on a root on HDFS, with a settings file that names the tasks' Python: the one that runs the tests.

    Text is packed by jobs, however small.
    """

    root: str
    config: Path
    local: Commands

    def run(self, *args: object, **settings: Any) -> Outcome:
        return self.here.run(*args, "-r", "hadoop", "--config", self.settings(**settings))

    @property
    def here(self) -> Commands:
        """Commands that run no jobs, on the same root."""
        return Commands(cast(Path, self.root), runner=())

    def __call__(self, *args: object, **settings: Any) -> dict[str, Any]:
        found = self.run(*args, "--json", **settings)
        assert found.code == 0, f"mr-ml {' '.join(map(str, args))}: exit code {found.code}\n{found.err}"
        return found.result

    def settings(self, **more: Any) -> Path:
        """The settings file with other keys; values are YAML."""
        if not more:
            return self.config
        keys = {"python": sys.executable, "pack_in_driver_mb": 0, **more}
        path = self.config.with_name(f"settings-{hashlib.sha256(repr(keys).encode()).hexdigest()[:12]}.yaml")
        path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()), encoding="utf-8")
        return path

    @property
    def store(self) -> Store:
        return open_store(self.root)

    def coef_sha256(self, model: str) -> str:
        """Of the published coefficients."""
        shown = self.here("models", "show", model)
        found = hashlib.sha256(self.store.read(shown["coef_uri"].removeprefix(self.root + "/"))).hexdigest()
        assert found == shown["coef_sha256"]
        return found


def jvm_starts(trace: Path) -> list[str]:
    """The subcommand of each start of Java that the cluster's launcher has noted."""
    lines = trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []
    # an argument may hold a line feed: what follows begins with the next option
    return [line.split()[0] for line in lines if not line.startswith(" -")]


def nothing_left(store: Store) -> bool:
    """Whether no temporary file of a job lies below the root."""
    return not store.exists("tmp") or not store.list("tmp")
