"""The compiled inner loops, which setup.cfg cannot declare; mr_ml installs without them where no C compiler is."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "mr_ml._native",
            ["mr_ml/_native.c"],
            optional=True,
            py_limited_api=True,
            # no fused multiply-add: the same bits as numpy and scipy
            extra_compile_args=["-O3", "-ffp-contract=off"],
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
