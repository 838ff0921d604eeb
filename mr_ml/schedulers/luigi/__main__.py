"""Run as ``python -m mr_ml.schedulers.luigi``."""

from mr_ml.schedulers.luigi import main

main()
