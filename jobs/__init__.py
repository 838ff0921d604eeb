"""The mrjob jobs, one file each; installed as ``mr_ml_jobs``."""
