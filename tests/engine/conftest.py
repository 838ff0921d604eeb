"""mrjob must first be imported by the module that keeps quiet about what mrjob imports: toy_jobs imports it plainly."""

import mr_ml.engine.local_runner  # noqa: F401
