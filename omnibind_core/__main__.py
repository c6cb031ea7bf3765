"""``python -m omnibind_core``."""

import sys

from omnibind_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
