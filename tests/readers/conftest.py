"""What the tests of the readers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mr_ml.data import kernels


@pytest.fixture(scope="module", params=["compiled", "numpy"])
def each_implementation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the module's tests twice: with the compiled loop for ordinary lines, and with numpy alone."""
    if request.param == "compiled" and not kernels.installed():
        pytest.skip("mr_ml was installed without its compiled loops")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(kernels, "native", None)
        yield
