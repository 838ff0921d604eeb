"""Runner ``spark``: jobs on one SparkContext, which a command opens at its first job and closes at its end."""
