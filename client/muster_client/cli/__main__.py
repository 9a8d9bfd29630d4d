"""Run the command line from a source tree: ``python -m muster_client.cli``."""

import sys

from muster_client.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
