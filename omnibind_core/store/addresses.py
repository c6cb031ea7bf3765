"""How the store is named in which vectors are searched."""

from __future__ import annotations

import re

from omnibind_core.errors import GalleryError

__all__ = ["milvus_address"]

_SERVER = re.compile(r"(https?://|tcp://|unix:)[^\s@]+")  # no password: addresses are shown in errors


def milvus_address(store: str) -> str:
    """Give what Milvus' client takes.

    Parameters
    ----------
    store : str
        The path of a file that ends in ``.db``, or ``http://host:port`` (``https://``, ``tcp://``, ``unix:``); with
        or without ``milvus:`` before it.

    Raises
    ------
    GalleryError
        It is neither, or an address with a password, which belongs into ``OMNIBIND_STORE_TOKEN``.
    """
    address = store.removeprefix("milvus:")
    if not address.endswith(".db") and not _SERVER.fullmatch(address):
        raise GalleryError(
            f"the store '{store[:80]}'",
            "milvus: and a path that ends in .db, for Milvus Lite, or an address like http://localhost:19530",
            "correct it; a password goes into OMNIBIND_STORE_TOKEN",
        )
    return address
