"""Which files a call may name: those that came through this server's upload."""

from __future__ import annotations

from pathlib import Path

from gradio.utils import get_upload_folder

from omnibind_core.errors import MediaError

__all__ = ["uploaded_path"]


def uploaded_path(file: object) -> str:
    """Give the path of a file that came through this server's upload.

    Parameters
    ----------
    file : object
        What an API call sent where a file belongs: ``{"path": ...}``.

    Raises
    ------
    MediaError
        It is anything else, above all a path outside the upload folder.
    """
    path = file.get("path") if isinstance(file, dict) else getattr(file, "path", None)
    if isinstance(path, str) and path and len(path) < 4_096 and "\0" not in path:
        try:
            real = Path(path).resolve()
            if real.is_relative_to(Path(get_upload_folder()).resolve()) and real.is_file():
                return str(real)
        except (OSError, RuntimeError):  # a name that is too long, or links in a circle
            pass
    raise MediaError(
        "something that is not an uploaded file",
        "a file that was uploaded to this server",
        "send it with handle_file()",
    )
