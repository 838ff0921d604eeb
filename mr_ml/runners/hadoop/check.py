"""The job by which the nodes of a cluster tell what they offer to tasks.

The job's tasks are a shell script, so that a node without Python, or with one that is too old, can say so.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hdfs_layout import Root
from mr_ml.ids import unique_id
from mr_ml.runners import node_report
from mr_ml.runners.job_input import StoredLines

# The words before the code's name are the node's Python. Its program comes through standard input. A line that a task
# prints ends at a carriage return too, for Hadoop.
_SCRIPT = """\
cat > /dev/null
first=yes
for word in "$@"; do
    if [ $first = yes ]; then set --; first=no; fi
    if [ "$word" = CODE_NAME ]; then break; fi
    set -- "$@" "$word"
done
said=$("$@" - DRIVER 2> errors << 'END_OF_PROGRAM'
PROGRAM
END_OF_PROGRAM
) && { printf 'report\\t%s\\n' "$said"; exit 0; }
version=$("$@" --version 2>&1 | head -n 1 | tr -d '\\t\\r')
printf '!failed\\t%s\\t%s\\t%s\\n' "$(uname -n)" "$version" "$(tail -n 1 errors | tr -d '\\t\\r' | cut -c 1-300)"
"""


def script(driver: tuple[str, int] | None = None) -> bytes:
    """Write the program of the check's tasks, which try to reach a host and port if there is one."""
    program = Path(node_report.__file__).read_text(encoding="utf-8")
    script = _SCRIPT.replace("DRIVER", "" if driver is None else shlex.join(map(str, driver)), 1)
    return script.replace("CODE_NAME", node_report.CODE_NAME).replace("PROGRAM\n", program + "\n", 1).encode()


@contextmanager
def task_files(root: Root, *, n_tasks: int) -> Iterator[StoredLines]:
    """Files in the store that make a job of so many map tasks; removed afterwards."""
    folder = root.layout.job(f"check-{unique_id()}")
    tasks = tuple(b"%d\n" % number for number in range(n_tasks))
    paths = [f"{folder}/{number:05d}" for number in range(n_tasks)]
    try:
        for path, line in zip(paths, tasks, strict=True):
            root.store.write(path, line)
        # one task a file, however short
        yield StoredLines(tuple(map(root.store.uri, paths)), sum(map(len, tasks)), whole=True)
    finally:
        root.store.remove_tree(folder)
