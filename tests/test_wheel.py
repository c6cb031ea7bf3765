"""An installed wheel answers without a checkout: it brings what mini and the gallery need."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow
LIMIT = 100_000_000  # bytes: the largest file that a package index takes without asking


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder as an installer would leave it: the wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    for name in ("omnibind_core", "assets", "pyproject.toml", "README.md", "LICENSE", "requirements.txt"):
        (sources / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    command += ["--disable-pip-version-check", "--wheel-dir", str(folder), str(sources)]
    subprocess.run(command, check=True, capture_output=True)
    wheel = next(folder.glob("*.whl"))
    assert wheel.stat().st_size < LIMIT
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def test_every_module_is_in_it(installed: Path):
    def modules(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}

    assert modules(installed / "omnibind_core") == modules(ROOT / "omnibind_core")


def test_the_installed_command_answers_from_another_folder(installed: Path, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMNIBIND_ASSETS")}
    environment |= {"PYTHONPATH": str(installed), "OMNIBIND_OFFLINE": "1"}
    command = [sys.executable, "-m", "omnibind_core", "search", "text:a dog barks", "-k", "3"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "audio/dog-" in ran.stdout
    where = "from omnibind_core.store.paths import assets_directory; print(assets_directory())"
    ran = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert Path(ran.stdout.strip()) == installed / "omnibind_assets"
