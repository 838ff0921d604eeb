"""What happens in and between the tasks of a local job: running one, sorting and cutting what the next ones read."""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import IO, Any

from mr_ml.errors import UsageError

with warnings.catch_warnings():
    # mrjob imports modules that Python has deprecated, or dropped, since mrjob's last release.
    warnings.simplefilter("ignore", DeprecationWarning)
    from mrjob.fs.local import LocalFilesystem, _from_file_uri
    from mrjob.util import save_current_environment, save_cwd, save_sys_path

# With more lines to sort than this, the sort program needs less memory than sorting in memory does.
SORT_IN_MEMORY_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20


def class_reference(job_class: type) -> tuple[str, str]:
    """Return the module and the qualified name by which another process can import a job class.

    Raises
    ------
    UsageError
        If it cannot: the class is defined in the running script, or within a function.
    """
    module, name = job_class.__module__, job_class.__qualname__
    if module == "__main__":
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        module = "" if spec is None else spec.name
    if not module or "<locals>" in name:
        raise UsageError(
            f"job class {name} cannot be imported by worker processes; expected a class at the top level of a module, "
            "found one in the running script or in a function: move it to a module of its own, or use `runner` inline"
        )
    return module, name


def import_class(module: str, name: str) -> Any:
    """Undo `class_reference`."""
    imported: Any = importlib.import_module(module)
    for part in name.split("."):
        imported = getattr(imported, part)
    return imported


def run_task(
    load_class: Callable[[], Any],
    arguments: Sequence[str],
    reads: str,
    stdin: IO[bytes],
    stdout: IO[bytes],
    stderr: IO[bytes],
    folder: str,
    environment: dict[str, str],
) -> None:
    """Run one task of a job in this process, as if it were a process of its own, and put everything back.

    Parameters
    ----------
    load_class : callable
        Returns the job class.
    arguments : sequence of str
        The task's command line.
    reads : str
        "lines", or "manifest" if stdin names the input file.
    stdin, stdout, stderr : binary files
        What `sys.stdin`, `sys.stdout` and `sys.stderr` become.
    folder : str
        The working folder; modules are looked for here first.
    environment : dict
        Added to the environment.
    """
    with save_current_environment(), save_cwd(), save_sys_path(), _standard_streams(stdin, stdout, stderr):
        os.environ.update(environment)
        os.chdir(folder)
        sys.path = [folder, *sys.path]
        try:
            inputs = [stdin.readline().decode().rpartition("\t")[2].rstrip("\n")] * 2 if reads == "manifest" else []
            load_class()([*arguments, *inputs]).execute()
        except OSError as error:
            if error.filename is None:
                # what a task itself opens it explains itself: this is one of its three streams
                error.filename = folder
            raise
        finally:
            # Long-lived workers would collect an entry for every folder in which a task imported something.
            sys.path_importer_cache.pop(folder, None)


@contextmanager
def _standard_streams(stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]) -> Iterator[None]:
    saved = sys.stdin, sys.stdout, sys.stderr
    # the one that mrjob opens reads a line of a megabyte in a hundred steps
    wide = io.BufferedReader(stdin.raw, _CHUNK_BYTES) if isinstance(stdin, io.BufferedReader) else None
    streams = wide or stdin, stdout, stderr
    # Text layers, so that print() and warnings work in a task as they do in a process; mrjob itself uses `.buffer`.
    texts = [io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in streams]
    sys.stdin, sys.stdout, sys.stderr = texts
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = saved
        for text in texts:
            # Detaching flushes; if that fails, closing the file underneath fails too and says so.
            with suppress(OSError, ValueError):
                text.detach()
        if wide is not None:
            with suppress(OSError, ValueError):
                # the file underneath is not ours to close
                wide.detach()


def sort_lines(input_paths: Sequence[str], output_path: str, *, sort_values: bool, tmp_dir: str) -> None:
    """Sort the lines of many files into one by key (what stands before the first tab), as bytes, stably.

    Parameters
    ----------
    input_paths : sequence of str
        In the order that lines of equal key keep.
    output_path : str
        Where they go.
    sort_values : bool
        Sort by whole lines.
    tmp_dir : str
        Where the sort program may write if there is too much for memory.
    """
    if sum(map(os.path.getsize, input_paths)) <= SORT_IN_MEMORY_BYTES:
        _sort_in_memory(input_paths, output_path, sort_values=sort_values)
        return
    from mrjob.local import _sort_lines_with_sort_bin  # seldom needed, and slow to import

    # left alone it takes what the files need, up to half of the machine's memory
    program = ["sort", "-S", f"{SORT_IN_MEMORY_BYTES >> 10}K"]
    program += [] if sort_values else ["-t", "\t", "-k", "1,1", "-s"]
    _sort_lines_with_sort_bin(list(input_paths), output_path, program, sort_values=sort_values, tmp_dir=tmp_dir)


def _sort_in_memory(input_paths: Sequence[str], output_path: str, *, sort_values: bool) -> None:
    """As mrjob does it, but without copies of lines, which are megabytes long here."""
    lines: list[tuple[bytes, memoryview]] = []
    for path in input_paths:
        with open(path, "rb") as source:
            data = source.read()
        whole, at = memoryview(data), 0
        while at < len(data):
            end = data.find(b"\n", at) + 1 or len(data)
            key_end = -1 if sort_values else data.find(b"\t", at, end)
            lines.append((data[at : end if key_end < 0 else key_end], whole[at:end]))
            at = end
    lines.sort(key=itemgetter(0))
    with open(output_path, "wb") as out:
        out.writelines(line for _, line in lines)


def cut_between_keys(sorted_path: str, paths: Sequence[str], *, light: Collection[bytes] = ()) -> None:
    """Turn a sorted file into files of about equal size, cut where the key changes; with few keys some are empty.

    Parameters
    ----------
    light : collection of bytes
        Keys whose lines count nothing.
    """
    if len(paths) == 1:
        os.rename(sorted_path, paths[0])
        return
    total, done, part, last_key, of_last_key = _heavy_bytes(sorted_path, light), 0, 0, b"", 0
    with open(sorted_path, "rb") as source:
        target = open(paths[0], "wb")  # noqa: SIM115
        try:
            for line in source:
                key = line.partition(b"\t")[0]
                if key != last_key:
                    # where half of a key is missing there is as much to do as where half of one is too much
                    if part + 1 < len(paths) and (2 * done + of_last_key) * len(paths) >= 2 * total * (part + 1):
                        target.close()
                        part += 1
                        target = open(paths[part], "wb")  # noqa: SIM115
                    last_key, of_last_key = key, 0
                target.write(line)
                if key not in light:
                    done += len(line)
                    of_last_key += len(line)
        finally:
            target.close()
    for path in paths[part + 1 :]:
        open(path, "wb").close()


def _heavy_bytes(path: str, light: Collection[bytes]) -> int:
    """Return the size of a file without the lines of some keys."""
    if not light:
        return os.path.getsize(path)
    with open(path, "rb") as source:
        return sum(len(line) for line in source if line.partition(b"\t")[0] not in light)


class Files(LocalFilesystem):  # type: ignore[misc]
    """mrjob's local files, listed in order; a path that exists means itself even if it looks like a wildcard."""

    def ls(self, path_glob: str) -> Iterator[str]:
        """Yield the files that a path or glob names."""
        path = _from_file_uri(path_glob)
        if os.path.isfile(path):
            yield path
        elif os.path.isdir(path):
            for folder, folders, names in os.walk(path, followlinks=True):
                folders.sort()
                yield from (os.path.join(folder, name) for name in sorted(names))
        else:
            yield from sorted(super().ls(path_glob))

    def exists(self, path_glob: str) -> bool:
        """Whether a path is there, or a glob names something."""
        return os.path.exists(_from_file_uri(path_glob)) or bool(super().exists(path_glob))

    def _cat_file(self, path: str) -> Iterator[bytes]:
        with open(_from_file_uri(path), "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
