"""Makes the keys of the dev overlay in `keys/` beside this file, unless they exist; git ignores them.

    .venv/bin/python k8s/overlays/dev/make_keys.py

Whoever deploys the overlay runs it once. Production has keys of its own, from
wherever its secrets come from.
"""

from pathlib import Path

from runtime.tokens import make_keys

if __name__ == "__main__":
    make_keys(Path(__file__).resolve().parent / "keys")
