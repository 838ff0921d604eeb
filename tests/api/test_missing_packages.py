"""What is imported by users and needs an extra says so, and which."""

from __future__ import annotations

import importlib
import sys

import pytest

from mr_ml.errors import MissingPackageError, MrMlError


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("mr_ml.sklearn", "sklearn", "sklearn"),
        ("mr_ml.schedulers.luigi", "luigi", "luigi"),
        ("mr_ml.schedulers.airflow", "airflow", "airflow"),
    ],
)
def test_the_module_says_what_is_lacking(
    module: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The package is not to be had: also where it is installed, `None` makes Python say so."""
    for name in [name for name in sys.modules if name == module or name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    # an import, so that programs that ask whether they may can go on to ask by ImportError
    with pytest.raises(ImportError, match=rf"^{module} needs .*pip install 'mr_ml\[{extra}\]'") as raised:
        importlib.import_module(module)
    assert isinstance(raised.value, MissingPackageError)
    assert isinstance(raised.value, MrMlError)
    assert raised.value.exit_code == 2


def test_a_package_that_is_too_old_counts_as_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.utils.validation

    for name in [name for name in sys.modules if name.startswith("mr_ml.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sklearn.utils.validation, "validate_data")
    with pytest.raises(ImportError, match=r"scikit-learn 1.6 or later.*validate_data.*pip install"):
        importlib.import_module("mr_ml.sklearn")
