"""The pages about the REST interface: what is gathered, and that none of it loads anything from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.stack import pages

# A page loads by these; what stands in a text or names a schema is not loaded.
LOADS = re.compile(r"""(?:src|href|url|spec-url)\s*[=:(]\s*["']?(https?:)?//""")


@pytest.fixture
def gathered(tmp_path: Path) -> Path:
    """The folder of all pages."""
    pages.gather(tmp_path / "made" / "here")
    return tmp_path / "made" / "here"


def test_pages_load_what_is_there(gathered: Path) -> None:
    """Each page of ours loads files that are gathered, and nothing else."""
    ours = [path.name for path in pages.OUR_PAGES.iterdir()]
    assert {"docs.html", "redoc.html"} <= set(ours)
    served = {"icon.svg": "swagger.svg"}
    for name in ours:
        text = (gathered / name).read_text()
        assert not LOADS.search(text)
        for loaded in re.findall(r'(?:src|href|spec-url|url)(?:=|: )"([^"]+)"', text):
            assert loaded.startswith("/")
            file = loaded.rpartition("/")[2]
            assert (gathered / served.get(file, file)).is_file()


def test_pages_have_no_script_inside(gathered: Path) -> None:
    """Scripts are files of their own: the policy of the pages forbids any other."""
    for page in gathered.glob("*.html"):
        assert re.findall(r"<script(?! src=)", page.read_text()) == []


def test_pages_redoc_keeps_its_logo_at_home(gathered: Path) -> None:
    """The one address that ReDoc would load from elsewhere is one of ours."""
    text = (gathered / pages.REDOC).read_text()
    assert "cdn.redoc.ly" not in text
    assert pages.OUR_COPY_OF_IT in text


def test_pages_run_nothing_of_the_packages() -> None:
    """Gathering reads files; the packages that they come in, and the framework behind them, are not imported."""
    code = "import sys, tempfile; from pathlib import Path; from runtime.stack import pages\n"
    code += "pages.gather(Path(tempfile.mkdtemp())); print([name for name in sys.modules if 'flask' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pages_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that is not installed is named."""
    monkeypatch.setattr(pages, "FROM_PACKAGES", {"x": ("no_such_package", "x")})
    with pytest.raises(FileNotFoundError, match="no_such_package"):
        pages.gather(tmp_path)


def test_pages_another_redoc_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A ReDoc that loads its logo from another address is not served as it is."""
    monkeypatch.setattr(pages, "REDOC_LOGO", "https://elsewhere.example/logo.svg")
    with pytest.raises(ValueError, match="does not name"):
        pages.gather(tmp_path)
