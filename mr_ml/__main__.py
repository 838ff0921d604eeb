"""`python -m mr_ml` is `mr-ml`."""

import sys

from mr_ml.cli import main

if __name__ == "__main__":
    sys.exit(main())
