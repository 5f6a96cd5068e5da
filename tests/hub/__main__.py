"""`python -m tests.hub FOLDER [PORT]` serves the datasets in FOLDER/OWNER/NAME until it is ended."""

import sys
import time
from pathlib import Path

from tests.hub.server import serving

if __name__ == "__main__":
    with serving(Path(sys.argv[1]), port=int(sys.argv[2]) if len(sys.argv) > 2 else 0) as running:
        print(f"HF_ENDPOINT={running.address}", flush=True)
        while True:
            time.sleep(3600)
