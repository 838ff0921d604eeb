"""Where the output of each input file goes: it follows from what was asked."""

from __future__ import annotations

import pytest

from mr_ml.errors import UsageError
from mr_ml.prediction.driver import output_names
from mr_ml.prediction.output import Output
from mr_ml.prediction.outputs import OUTPUT_FORMATS
from mr_ml.prediction.outputs.base import escaped

TSV, CSV = OUTPUT_FORMATS.get("tsv"), OUTPUT_FORMATS.get("csv")
DAY_1, DAY_2 = "hdfs://nn:8020/raw/day=1/part-0", "hdfs://nn:8020/raw/day=2/part-0"


@pytest.mark.parametrize(
    ("paths", "inputs", "expected"),
    [
        (["/a/b"], ["/a/b"], [""]),
        (["/a/b"], ["/a/"], ["b"]),
        (["/a/b/c"], ["/a"], ["b/c"]),
        (["/a/b", "/a/c/b"], ["/a"], ["b", "c/b"]),
        (["/a/b", "/a/c/b"], ["/a/b", "/a/c"], ["b", "c/b"]),
        (["/a/x/1", "/a/x/2"], ["/a/x/1", "/a/x/2"], ["1", "2"]),
        (["/a/b[1]"], ["/a/b[1]"], [""]),
        (["/a/1/x"], ["/a/*/x"], ["1/x"]),
        (["/a/b.csv.gz", "/a/c.bz2"], ["/a"], ["b.csv", "c"]),
        ([DAY_1], [DAY_1], [""]),
        ([DAY_1], ["hdfs:///raw/day=1/part-0"], [""]),
        ([DAY_1], ["hdfs:///raw"], ["day=1/part-0"]),
        ([DAY_1], ["hdfs:///raw/day=*/part-*"], ["day=1/part-0"]),
        ([DAY_1, DAY_2], ["hdfs:///raw/day=1", "hdfs:///raw/day=2"], ["day=1/part-0", "day=2/part-0"]),
        (["hdfs://nn/x/1"], ["hdfs:///*/1"], ["x/1"]),
    ],
)
def test_names(paths: list[str], inputs: list[str], expected: list[str]) -> None:
    assert output_names(paths, inputs, form=TSV) == expected


def test_relative_inputs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("names")
    monkeypatch.chdir(folder)
    assert output_names([f"{folder}/in/a"], ["in"], form=TSV) == ["a"]
    assert output_names([f"{folder}/in/a"], ["./in/a"], form=TSV) == [""]
    assert output_names([f"{folder}/in/a"], ["*"], form=TSV) == ["in/a"]


def test_two_outputs_of_one_name() -> None:
    with pytest.raises(UsageError, match="'b'"):
        output_names(["/a/b", "/a/b.gz"], ["/a"], form=TSV)


def test_formats_with_a_suffix_of_their_own_give_it_to_the_files_of_a_folder() -> None:
    assert output_names(["/a/b.gz", "/a/c.csv", "/a/d.libsvm"], ["/a"], form=CSV) == ["b.csv", "c.csv", "d.libsvm.csv"]
    assert output_names(["/a/b"], ["/a/b"], form=CSV) == [""]
    with pytest.raises(UsageError, match=r"'b\.csv'"):
        output_names(["/a/b", "/a/b.csv"], ["/a"], form=CSV)


@pytest.mark.parametrize("to", ["hdfs://", "hdfs://host", "hdfs:///", "webhdfs://host/"])
def test_an_output_needs_a_name(to: str) -> None:
    with pytest.raises(UsageError, match="expected as `to`"):
        Output(to)


def test_escaped_labels_can_be_told_apart() -> None:
    labels = ["a\tb", "a\\tb", "a\nb", "a\rb", "a\\", "ab"]
    assert [escaped(label) for label in labels] == ["a\\tb", "a\\\\tb", "a\\nb", "a\\rb", "a\\\\", "ab"]
