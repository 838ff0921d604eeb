"""The cluster on which tasks that stay are tried, with a dataset, and what must be so after each case."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from commands import Commands, copy, write_libsvm
from staying import Staying, Yarn, wait_until

from hdfs_layout import LocalStore, Store, open_store

N_ROWS, N_FEATURES, N_PARTITIONS, PASSES = 20_000, 10, 8, 12
TRAIN = ("train", "rows", "--loss", "logistic", "--l2", "1e-5", "--solver", "lbfgs", "--tolerance", "1e-12")
_DEV_HADOOP = Path(__file__).resolve().parents[1] / "dev_hadoop.sh"
NODES = 2


@dataclass(frozen=True)
class Site:
    """A cluster, a root on it with datasets, and the same root in a folder.

    Attributes
    ----------
    prefix
        Words in front of the commands of drivers, such as have them run elsewhere.
    """

    folder: Path
    yarn: Yarn
    root: str
    local: Commands
    started: list[Staying] = field(default_factory=list)
    expected: dict[tuple[str, ...], str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    @property
    def store(self) -> Store:
        """The root on the cluster."""
        return open_store(self.root)

    def start(
        self, *args: object, points: tuple[str, ...] = (), engine: str = "resident",
        settings: Mapping[str, object] | None = None,
    ) -> Staying:  # fmt: skip
        """Start `mr-ml` with two tasks that stay, if the settings say nothing else."""
        # a busy machine takes its time to start a job
        keys = {"python": sys.executable, "resident_tasks": NODES, "patience_seconds": 170, **(settings or {})}
        config = self.folder / f"{uuid.uuid4().hex}.yaml"
        config.write_text(json.dumps(keys))
        temporary = self.folder / "client"
        temporary.mkdir(exist_ok=True)
        options = f"{os.environ.get('HADOOP_CLIENT_OPTS', '')} -Djava.io.tmpdir={temporary}"
        where = ("--root", self.root, "-r", "hadoop", "--config", config, "--engine", engine)
        driver = Staying.start(
            self.folder, *args, *where, points=points, prefix=self.prefix, HADOOP_CLIENT_OPTS=options,
            TMPDIR=str(temporary),
        )  # fmt: skip
        self.started.append(driver)
        return driver

    def train(
        self, model: str, *args: object, points: tuple[str, ...] = (), passes: int = PASSES, engine: str = "resident",
        **settings: object,
    ) -> Staying:  # fmt: skip
        """Start a training."""
        words = (*TRAIN, "--model", model, "--max-passes", passes, *args)
        return self.start(*words, points=points, engine=engine, settings=settings)

    def same(self, model: str, *args: str, passes: int = PASSES) -> None:
        """Assert that a model is what one process makes of the data."""
        if (key := (str(passes), *args)) not in self.expected:
            name = f"e{len(self.expected)}"
            self.local(*TRAIN, "--model", name, "--max-passes", passes, *args)
            self.expected[key] = self.local.coef(name).sha256
        (path,) = [path for path in self.store.walk(f"models/{model}") if path.endswith("coef.npz")]
        assert hashlib.sha256(self.store.read(path)).hexdigest() == self.expected[key], "other bits"

    def nothing_left(self) -> None:
        """Assert that nothing is there of jobs, on the cluster and on this machine."""
        self.yarn.nothing_left(self.store)
        left = [str(path) for path in (self.folder / "client").iterdir()]
        assert not left, f"left on this machine: {left}"

    def run_name(self) -> str:
        """Of the one that is at work."""
        (name,) = set(self.store.list("tmp")) & set(self.store.list("runs"))
        return name

    def application_name(self) -> str:
        """Under which the tasks that stay have their folder."""
        (name,) = set(self.store.list("tmp")) - set(self.store.list("runs"))
        return name

    def file_operations(self) -> int:
        """How many the NameNode has done; it counts them anew every ten seconds."""
        time.sleep(15)
        return int(self._jmx("NameNodeActivity")["TotalFileOps"])

    def _jmx(self, name: str) -> dict[str, float]:
        url = f"{os.environ['MR_ML_TEST_WEBHDFS']}/jmx?qry=Hadoop:service=NameNode,name={name}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
            return dict(json.load(answer)["beans"][0])

    def dev(self, *arguments: str) -> None:
        """Have dev_hadoop.sh do something on the cluster."""
        words = [str(_DEV_HADOOP), *arguments, "--dir", str(self.yarn.directory)]
        subprocess.run(words, check=True, env={**os.environ, "PYTHON": sys.executable}, stdout=subprocess.DEVNULL)

    def two_tasks(self) -> list[int]:
        """The processes of the tasks, when there are two."""
        wait_until(lambda: len(self.yarn.tasks()) == NODES, what="two tasks")
        return self.yarn.tasks()


def make_site(folder: Path) -> Site:
    """Pack two datasets in a folder, and bring them to the cluster."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(N_ROWS, N_FEATURES)).round(3)
    y = (x[:, :3].sum(axis=1) + rng.normal(size=N_ROWS) > 0).astype(int)
    local = Commands(folder / "root", runner=("-r", "inline"))
    local("pack", write_libsvm(folder / "rows", x, y), "--to", "rows", "--partitions", N_PARTITIONS)
    root = f"{os.environ['MR_ML_TEST_HDFS']}/user/{getpass.getuser()}/soak-{uuid.uuid4().hex[:12]}"
    copy(LocalStore(str(folder / "root")), open_store(root), "datasets")
    return Site(folder, Yarn(Path(os.environ["HADOOP_CONF_DIR"]).parent), root, local)
