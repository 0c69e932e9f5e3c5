"""``python -m seqmelody``: the same as the command ``seqmelody``."""

from __future__ import annotations

import sys

from seqmelody.cli import main

if __name__ == "__main__":
    sys.exit(main())
