"""What FFmpeg opens, and the first frame of it: of pictures that Pillow refuses or reads wrongly."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["first_frame", "opened"]


def opened(data: bytes, demuxer: str) -> Any:
    """Open a file for FFmpeg's decoders; closed by ``with``.

    Parameters
    ----------
    demuxer : str
        The one that is used: others (playlists) would open files and addresses that the file names.

    Returns
    -------
    av.container.InputContainer

    Raises
    ------
    av.error.FFmpegError
        It is not of that form.
    """
    import av

    return av.open(io.BytesIO(data), format=demuxer, metadata_errors="replace")


def first_frame(data: bytes, demuxer: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Decode a picture; whoever calls has checked its size.

    Parameters
    ----------
    data : bytes
        The file.
    demuxer : str
        FFmpeg's name, "bmp_pipe".

    Returns
    -------
    ndarray, shape (h, w, 3), uint8, or (h, w), uint16
        Red, green and blue, or grey of 16 bits where it is that.

    Raises
    ------
    ValueError
        There is no picture in it.
    av.error.FFmpegError
        FFmpeg cannot read it.
    """
    with opened(data, demuxer) as container:
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise ValueError("it holds no picture")
        form = "gray16le" if frame.format.name.startswith("gray16") else "rgb24"
        return np.asarray(frame.to_ndarray(format=form))
