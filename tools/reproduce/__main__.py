"""``python -m tools.reproduce``: reproduce every seed system."""

import sys

from tools.reproduce.command import main
from tools.reproduce.systems import SYSTEMS

if __name__ == "__main__":
    sys.exit(main(SYSTEMS))
