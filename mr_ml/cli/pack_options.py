"""The command `pack`: where the rows are, how they are split, and what the text is; `train` takes that of files too."""

from __future__ import annotations

from typing import Any

from hdfs_layout.limits import MAX_PARTITION
from mr_ml.cli.names import registered
from mr_ml.cli.numbers import whole
from mr_ml.cli.options import add_bad_rows, add_command, add_memory, add_runner, add_unseen_features, modules_of
from mr_ml.readers.registry import FORMATS

ALL_TRAIN = "train=1.0"
PACK_JOBS = ("scan_job", "pack_job")


def add_pack(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "pack", "pack", "run", "text rows to a new version of a dataset: parsed, shuffled, split, in blocks",
        "mr-ml pack iris.libsvm --to iris --split train=0.8,test=0.2 --seed 7",
    )  # fmt: skip
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="files, folders or globs; .gz, .bz2 and .zst are read too"
    )
    parser.add_argument("--to", required=True, metavar="NAME", help="name of the dataset")
    parser.add_argument("--split", default=ALL_TRAIN, metavar="NAME=SHARE,...", help="(default: every row is train)")
    parser.add_argument(
        "--dry-run", action="store_true",
        help="do all but publish: say columns, labels, bad rows and sizes, and leave nothing behind",
    )  # fmt: skip
    add_packing(parser, parser)
    add_runner(parser, jobs=PACK_JOBS, kinds=(FORMATS,))
    add_memory(parser)


def add_files(parser: Any) -> None:
    """Add how the files of a command are packed that takes a dataset too; the defaults name what is for files alone."""
    group = parser.add_argument_group("how files are packed; none of this is for a dataset")
    group.add_argument("--to", metavar="NAME", help="name of the dataset (default: that of the model)")
    add_packing(parser, group)
    parser.set_defaults(file_modules=modules_of(PACK_JOBS, (FORMATS,)))


def add_packing(parser: Any, group: Any) -> None:
    """Add how rows are packed, but for where they are, what the dataset is called, and the shares of its splits.

    The default `packing` names what was added.

    Parameters
    ----------
    group
        Of the parser, or the parser: for what is said of any rows. What is said of text has a group of its own.
    """
    before = set(parser._defaults) | {action.dest for action in parser._actions}
    group.add_argument(
        "--split-inputs", action="append", default=[], metavar="NAME=INPUT",
        help="instead of INPUT and --split: files, a folder or a glob whose rows are that split, such as those of the "
        "newest day; as often as needed",
    )  # fmt: skip
    group.add_argument(
        "--folds",
        type=whole(1, MAX_PARTITION),
        default=1,
        metavar="K",
        help="cut each split into K folds of whole partitions; mr-ml tune takes them after --split-by",
    )
    group.add_argument(
        "--split-by", metavar="COLUMN", help="rows of one group (a CSV column, or qid) stay in one split and fold"
    )
    group.add_argument("--seed", type=whole(-(2**63)), default=0, help="of split, folds and shuffle (default 0)")
    group.add_argument(
        "--partitions", type=whole(1, MAX_PARTITION), metavar="N", help="number of partition files (default: by size)"
    )
    group.add_argument(
        "--like", metavar="DATASET", help="use the schema (columns, vocabularies, labels) of that dataset"
    )
    add_unseen_features(group, "libsvm, with --like: feature ids that that dataset does not have")
    add_bad_rows(group)
    group = parser.add_argument_group("what the text is")
    group.add_argument(
        "--format", type=registered(FORMATS), metavar="NAME",
        help=f"{', '.join(FORMATS.built_in)}, or one of an installed package (default: as the names of the files say, "
        "or how they begin, or options for one format alone, else libsvm)",
    )  # fmt: skip
    group.add_argument(
        "--index-base", choices=("auto", "0", "1"), default="auto", help="libsvm: first feature id (default: detected)"
    )
    group.add_argument(
        "--label-weights", action="store_true", help="libsvm: rows have weights behind their labels, label:weight"
    )
    group.add_argument(
        "--offset-feature", type=whole(0, 2**31 - 1), metavar="ID",
        help="libsvm: the feature whose value is the offset of its row, a known part of the margin; 0 where it lacks",
    )  # fmt: skip
    group.add_argument(
        "--schema", metavar="FILE", help="CSV: a schema file (YAML) says what each column is: see docs/schema.md"
    )
    group.add_argument(
        "--hash-bits", type=whole(1, 30), metavar="N",
        help="Vowpal Wabbit's text: features are numbered by hashes of N bits, not by a list of their names",
    )  # fmt: skip
    group.add_argument("--delimiter", default=",", help="CSV: one character, or 'tab' (default ,)")
    header = group.add_mutually_exclusive_group()
    header.add_argument(
        "--no-header", action="store_true", help="CSV: the first line is a row; columns are c0, c1, ..."
    )
    header.add_argument(
        "--header", action="store_true", help="CSV: the first line names the columns although it looks like a row"
    )
    group.add_argument("--label-column", metavar="COLUMN", help="CSV (default: one called label, target or y)")
    group.add_argument("--weight-column", metavar="COLUMN", help="CSV: row weights, >= 0")
    group.add_argument("--offset-column", metavar="COLUMN", help="CSV: a known part of the margin")
    group.add_argument("--drop", action="append", metavar="COLUMN,...", default=[], help="CSV: columns to leave out")
    group.add_argument(
        "--categorical",
        action="append",
        metavar="COLUMN,...",
        default=[],
        help="CSV: columns to encode one-hot although they are numbers",
    )
    group.add_argument(
        "--numeric",
        action="append",
        metavar="COLUMN,...",
        default=[],
        help="CSV: columns in which anything but a number is a bad row",
    )
    group.add_argument(
        "--missing-markers",
        action="append",
        metavar="TEXT,...",
        help="CSV: texts that mean no value, in place of all default ones (NA, N/A, NULL, NaN, ? and others, and - in "
        "columns of numbers)",
    )
    group.add_argument("--decimal", default=".", metavar="C", help="CSV: decimal mark, . (default) or ,")
    group.add_argument(
        "--thousands", default="", metavar="C", help="CSV: what separates groups of three digits (default: nothing)"
    )
    group.add_argument("--percent", action="store_true", help="CSV: numbers may end with %%, and are then hundredths")
    group.add_argument(
        "--missing",
        default="error",
        metavar="POLICY",
        help="CSV: error (default), drop, zero or value:X for empty numbers",
    )
    group.add_argument(
        "--unseen", choices=("error", "ignore"), default="error", help="CSV: categories not in the vocabulary"
    )
    parser.set_defaults(packing=tuple(action.dest for action in parser._actions if action.dest not in before))
