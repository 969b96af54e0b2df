"""The pages that Envoy serves about the REST interface: Swagger UI, ReDoc, and the document that they show.

    python -m runtime.stack.pages <folder>    gathers them in a folder

Our own part is `runtime/pages`; the two programs come as files of the packages
`flask_openapi3_swagger` and `flask_openapi3_redoc`, of which nothing is
imported or run. A browser gets all of it from Envoy and nothing from elsewhere.
`runtime.stack.envoy` gathers them for a single machine, the image when it is built.
"""

import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OUR_PAGES = REPOSITORY / "runtime" / "pages"
OPENAPI = REPOSITORY / "protos" / "gen" / "openapi.json"
REDOC = "redoc.standalone.js"
REDOC_LOGO, OUR_COPY_OF_IT = "https://cdn.redoc.ly/redoc/logo-mini.svg", "/redoc/icon.svg"
"""The one thing that ReDoc would load from elsewhere."""

_SWAGGER, _REDOC = "flask_openapi3_swagger", "flask_openapi3_redoc"
FROM_PACKAGES: Mapping[str, tuple[str, str]] = {
    "swagger-ui.css": (_SWAGGER, "templates/swagger/css/swagger-ui.css"),
    "swagger-ui-bundle.js": (_SWAGGER, "templates/swagger/js/swagger-ui-bundle.js"),
    "swagger.svg": (_SWAGGER, "templates/swagger/images/swagger.svg"),
    REDOC: (_REDOC, "templates/redoc/js/redoc.standalone.js"),
    "redoc.svg": (_REDOC, "templates/redoc/images/redoc.svg"),
}
"""By the name here: the package, and the path in it."""


def gather(folder: Path) -> None:
    """Puts all files into `folder`, which is made if need be.

    Raises:
        FileNotFoundError: one of the packages is not installed, or has no such file.
        ValueError: ReDoc loads its logo in a way that is not known here.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in (OPENAPI, *sorted(OUR_PAGES.iterdir())):
        shutil.copyfile(source, folder / source.name)
    for name, (package, path) in FROM_PACKAGES.items():
        shutil.copyfile(_folder_of(package) / path, folder / name)
    _keep_at_home(folder / REDOC)


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {package} is not installed")
    return Path(spec.origin).parent


def _keep_at_home(program: Path) -> None:
    text = program.read_text()
    if text.count(REDOC_LOGO) != 1:
        raise ValueError(f"{program} does not name {REDOC_LOGO} once")
    program.write_text(text.replace(REDOC_LOGO, OUR_COPY_OF_IT))


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
