"""`python -m mr_ml` is `mr-ml`."""

from mr_ml.cli import run

if __name__ == "__main__":
    run()
