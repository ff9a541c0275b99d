"""``python -m gifepanel``."""

import sys

from gifepanel.cli import main

if __name__ == "__main__":
    sys.exit(main())
