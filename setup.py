"""The compiled inner loops, which setup.cfg cannot declare; mr_ml installs without them where no C compiler is."""

from glob import glob

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "mr_ml._native",
            sorted(glob("mr_ml/native/*.c")),
            depends=sorted(glob("mr_ml/native/*.h")),
            optional=True,
            py_limited_api=True,
            # no fused multiply-add: the same bits as numpy and scipy
            extra_compile_args=["-O3", "-ffp-contract=off", "-fvisibility=hidden"],
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
