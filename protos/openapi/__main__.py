"""`python -m protos.openapi <descriptor set> <document>`: writes the document of the contracts in the set."""

import json
import sys
from pathlib import Path

from protos.openapi.contracts import Contracts
from protos.openapi.document import document

source, target = map(Path, sys.argv[1:])
made = document(Contracts.read(source.read_bytes()))
target.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
