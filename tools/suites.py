"""``python -m tools.suites``: other projects' test files, fetched and tried on the decoders by hand.

Each suite is fetched by git at one commit, without large files kept elsewhere (LFS), into the cache; ``--from`` takes
checkouts that lie in one folder under the suites' names instead. Every file goes the way that the page's files go, one
at a time, and is counted by what it came to. Nothing of a suite is committed: :data:`SUITES` says whose it is.
"""

from __future__ import annotations

import argparse
import datetime
import fnmatch
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnibind_core.media import formats
from omnibind_core.media.source import shown
from omnibind_core.store.paths import cache_directory, is_offline
from omnibind_core.types import Modality
from tools.hard.crafted import Case
from tools.hard.trial import MOST_BYTES, MOST_SECONDS, Outcome, tried

__all__ = ["SUITES", "Result", "Suite", "cases", "fetched", "main", "parser", "reasons", "run", "table"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "security.md"
MARKS = ("<!-- suites -->", "<!-- end of suites -->")
_HUB = "https://github.com/"
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Suite:
    """A public collection of test files.

    Attributes
    ----------
    name : str
        Of its folder, and what the command takes.
    kind : Modality
        What its files are read as.
    address : str
        What git clones.
    commit : str
        The one that is tried.
    licence : str
        Of the files, or of the project where they have none of their own.
    folders : tuple of str
        Where its files lie; all of it where none is named.
    damaged : tuple of str
        Patterns of paths that are made to be wrong: a refusal is what they want.
    every : int
        Of a large one, every so manyth file of each ending.
    """

    name: str
    kind: Modality
    address: str
    commit: str
    licence: str
    folders: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    every: int = 1

    def is_damaged(self, name: str) -> bool:
        """Whether a file is made to be wrong."""
        return any(fnmatch.fnmatch(name, pattern) for pattern in self.damaged)


SUITES: tuple[Suite, ...] = (
    Suite("pillow", "image", _HUB + "python-pillow/Pillow",
          "4e5f09f533dbd0d87d39951f48b62f4d1a421cba", "MIT-CMU", ("Tests/images",), ("*crash-*", "*oom-*",
          "*bomb*", "*segfault*", "*timeout*", "*broken*", "*overflow*", "*/bmp/b/*", "*/apng/syntax_*")),
    Suite("pngsuite", "image", _HUB + "lunapaint/pngsuite",
          "8cd768dd0d0063195174d0d01cacbd5a7d1e5605", "PngSuite's own: free to use, copy and pass on",
          ("png",), ("png/x*",)),
    Suite("image-rs", "image", _HUB + "image-rs/image",
          "2c5368b8de2f76ae9d18bc0bcf2cd16c3164cefe", "MIT or Apache-2.0", ("tests/images",
          "tests/regression", "tests/bad"), ("tests/bad/*", "*crash-*", "*oom-*", "*fuzz*", "*lenient*")),
    Suite("image-tiff", "image", _HUB + "image-rs/image-tiff",
          "31919c7bfcd224143524499a4d51ea33664f7fba", "MIT", ("tests",), ("tests/fuzz_images/*",)),
    Suite("libtiff", "image", _HUB + "libsdl-org/libtiff",
          "c09bb267ca6fbc66ae0b18be05fffd5c4d3ebf3b", "libtiff", ("test",)),
    Suite("jpeg-decoder", "image", _HUB + "image-rs/jpeg-decoder",
          "eb2d7c0f6a2d0298aba7a7f8b9ca1440353e8f8c", "MIT or Apache-2.0", ("tests", "fuzz-afl"),
          ("tests/crashtest/*", "fuzz-afl/*")),
    Suite("image-gif", "image", _HUB + "image-rs/image-gif",
          "c1a6c4f18aec2884fe4fa7ce4fdbead92c975af1", "MIT or Apache-2.0", ("tests",), ("tests/crashtest/*",
          "tests/stall/*")),
    Suite("libwebp", "image", _HUB + "webmproject/libwebp-test-data",
          "05cd58b26e61385abd851aae60d26b6e3a769479", "BSD-3-Clause"),
    Suite("libavif", "image", _HUB + "AOMediaCodec/libavif",
          "092276ce89098ead06db80975173191e5fee1826", "BSD-2-Clause", ("tests/data",)),
    Suite("avif-samples", "image", _HUB + "link-u/avif-sample-images",
          "c666a368b73006246694919b5dbcc078317af6cc", "CC-BY-SA-4.0"),
    Suite("libheif", "image", _HUB + "strukturag/libheif",
          "9f31998e0f426eeec9ece938baabe6fbf858e042", "LGPL-3.0", ("tests/data", "fuzzing/data"),
          ("fuzzing/*",)),
    Suite("heif-conformance", "image", _HUB + "nokiatech/heif_conformance",
          "f17e517f7518984b4450349a88edc09519082c74", "Nokia's, for testing", ("conformance_files",)),
    Suite("exif-samples", "image", _HUB + "ianare/exif-samples",
          "5332a9cf0220e9c6c93f88a187daa90808051e10", "CC-BY-SA-4.0", ("heic", "jpg", "tiff"),
          ("jpg/invalid/*",)),
    Suite("exiv2", "image", _HUB + "Exiv2/exiv2",
          "e84cb9db060527416a43f3d257656331c85aff28", "GPL-2.0", ("test/data",), ("*poc*", "*POC*",
          "*issue_*", "*fuzz*", "*crash*", "*cve*", "*CVE*", "*heap*", "*overflow*", "*recursion*")),
    Suite("orientation", "image", _HUB + "recurser/exif-orientation-examples",
          "219294e144531b0c01247913cb58b6f5531b5081", "MIT"),
    Suite("sharp", "image", _HUB + "lovell/sharp",
          "ea5bef24c187b2c7ee3fe3cad3b45c8cb67a46fd", "Apache-2.0", ("test/fixtures",), every=2),
    Suite("libvips", "image", _HUB + "libvips/libvips",
          "29fd12021b279dee0d22223e11686f7d61dcd541", "LGPL-2.1", ("test/test-suite/images",)),
    Suite("wuffs", "image", _HUB + "google/wuffs",
          "2560db99aa19c524880b56b0119cd8e979597490", "Apache-2.0 or MIT", ("test/data",), ("*artificial-*",
          "*truncated*")),
    Suite("resvg", "image", _HUB + "linebender/resvg",
          "08c79a3148df4ce8ab08fca72204b142b95423dd", "Apache-2.0 or MIT", ("crates/resvg/tests/tests",),
          every=6),
    Suite("flac", "audio", _HUB + "ietf-wg-cellar/flac-test-files",
          "aa7b0c6cf32994c106ae517a08134c28a96ff5b2", "CC0-1.0", ("subset", "uncommon", "faulty"),
          ("faulty/*",)),
    Suite("music-metadata", "audio", _HUB + "Borewit/music-metadata",
          "cb9f95caf2064073a6dbff56501489fa4ece3c89", "MIT", ("test/samples",), ("*CWE*",)),
    Suite("mutagen", "audio", _HUB + "quodlibet/mutagen",
          "e89c77ad1bccd6c4b54bd9240469232affdd30d7", "GPL-2.0", ("tests/data",), ("*CVE*",)),
    Suite("taglib", "audio", _HUB + "taglib/taglib",
          "d391029695adfa9a7ecbd7dc35933eb0d509fbd3", "LGPL-2.1 or MPL-1.1", ("tests/data",)),
    Suite("tinytag", "audio", _HUB + "devsnd/tinytag",
          "2a92c6f18a1f904017838c39a4f6e8de70ae6b83", "MIT", ("tinytag/tests/samples",)),
    Suite("mediafile", "audio", _HUB + "beetbox/mediafile",
          "3e36cfdb9e37febdc6ba1ef79067d2d7947a6ea4", "MIT", ("test",)),
    Suite("pydub", "audio", _HUB + "jiaaro/pydub",
          "996cec42e9621701edb83354232b2c0ca0121560", "MIT", ("test/data",)),
    Suite("assimp", "point", _HUB + "assimp/assimp",
          "21bea12f1278090c09a94c39ca090d9fb458ccd9", "BSD-3-Clause", ("test/models",), ("*/invalid*",
          "*/wrongTypes/*", "*/SchemaFailures/*", "*/IndexOutOfRange/*", "*/MissingBin/*")),
    Suite("trimesh", "point", _HUB + "mikedh/trimesh",
          "a513c0e2cfa6dfbd3121a6dfd8ceb002b9ef55d8", "MIT", ("models",), ("*empty*",)),
    Suite("gltf-blender", "point", _HUB + "KhronosGroup/glTF-Blender-IO",
          "7551a35b146ab62ebc503ec661f88a74dc611392", "Apache-2.0", ("tests",)),
    Suite("gltf-transform", "point", _HUB + "donmccurdy/glTF-Transform",
          "a47e1170137dfed517d80f24da83e695238e5753", "MIT", ("packages",)),
    Suite("gltf-validator", "point", _HUB + "KhronosGroup/glTF-Validator",
          "434283be08a668a8fb4e437145630ddbf93b0686", "Apache-2.0", ("test",), ("*",)),
    Suite("kaykit-city", "point", _HUB + "KayKit-Game-Assets/KayKit-City-Builder-Bits-1.0",
          "63976910ca04d16f0fc531b9c614244be8128713", "CC0-1.0"),
    Suite("kaykit-dungeon", "point", _HUB + "KayKit-Game-Assets/KayKit-Dungeon-Remastered-1.0",
          "b0ca9bd96a8072ab36a3a5464f00ed1e06a16d07", "CC0-1.0", every=3),
    Suite("kaykit-halloween", "point", _HUB + "KayKit-Game-Assets/KayKit-Halloween-Bits-1.0",
          "6dc69bf6b2fa766a985754f35ec6a0324090e6c6", "CC0-1.0"),
    Suite("kaykit-restaurant", "point", _HUB + "KayKit-Game-Assets/KayKit-Restaurant-Bits-1.0",
          "153c8a7535b48237854cb54ff6890679f8c574d1", "CC0-1.0", every=3),
    Suite("tinygltf", "point", _HUB + "syoyo/tinygltf",
          "116d0030f9a55151eb1890b7b7131e4c0602de96", "MIT", ("models",), ("*/BoundsChecking/*",)),
    Suite("draco", "point", _HUB + "google/draco",
          "47238930f698250f474163e1a29d77858aa5c158", "Apache-2.0", ("testdata",)),
    Suite("tinyobjloader", "point", _HUB + "tinyobjloader/tinyobjloader",
          "b5346fac929c8a862a1c1d4d89db5477d30b7e6f", "MIT", ("models",), ("*invalid*",)),
    Suite("common-3d", "point", _HUB + "alecjacobson/common-3d-test-models",
          "8a4f8642acaf43f9cd7b67858a1502e1055ef202", "each model's own", ("data",)),
    Suite("libigl", "point", _HUB + "libigl/libigl-tutorial-data",
          "c1f9ede366d02e3531ecbaec5e3769312f31cccd", "each model's own"),
    Suite("meshlab", "point", _HUB + "cnr-isti-vclab/meshlab",
          "684885ade5e0075c0156f7120751e6a0fa1cf8a7", "GPL-3.0", ("sample",)),
)  # fmt: skip
"""What is tried, pictures first."""


@dataclass(frozen=True)
class Result:
    """What the files of a suite came to; `absent` of them are not here but pointers to another place."""

    suite: Suite
    outcomes: tuple[Outcome, ...]
    absent: int

    def count(self, said: str) -> int:
        """How many files were "answered", "refused", "crashed" or "lost"."""
        return sum(one.said == said for one in self.outcomes)

    @property
    def refused_valid(self) -> list[Outcome]:
        """Refusals of files that are not made to be wrong."""
        return [one for one in self.outcomes if one.said == "refused" and not self.suite.is_damaged(one.case.name)]


def fetched(suite: Suite, folder: Path) -> Path:
    """Fetch a suite at its commit, its folders alone, where it is not there yet.

    Parameters
    ----------
    suite : Suite
        Which one.
    folder : Path
        Where all suites lie.

    Returns
    -------
    Path
        Its checkout.

    Raises
    ------
    subprocess.CalledProcessError
        Git cannot fetch it; its own words are on standard error.
    """
    place = folder / f"{suite.name}-{suite.commit[:12]}"
    done = place / ".git" / "omnibind-has-all"
    if done.exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GIT_LFS_SKIP_SMUDGE": "1", "GIT_TERMINAL_PROMPT": "0"}

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(place), *words], check=True, env=environment)

    git("init", "--quiet")
    git("config", "remote.origin.url", suite.address)
    git("config", "remote.origin.promisor", "true")
    git("config", "remote.origin.partialclonefilter", "blob:none")
    if suite.folders:
        git("sparse-checkout", "set", *suite.folders)
    git("fetch", "--quiet", "--depth", "1", "--filter=blob:none", "origin", suite.commit)
    git("checkout", "--quiet", "--detach", suite.commit)
    done.touch()
    return place


def cases(suite: Suite, place: Path) -> Iterator[Case | None]:
    """Give the files of a checkout that have an ending which we read; None for one that is not here.

    Parameters
    ----------
    suite : Suite
        Which one.
    place : Path
        Its checkout.
    """
    endings = [f".{one}" for one in formats()[suite.kind] if one != "zip"]
    found: dict[str, list[Path]] = {}
    for folder in suite.folders or ("",):
        for path in sorted((place / folder).rglob("*")):
            inside = path.relative_to(place)
            if (
                path.suffix.lower() in endings
                and ".git" not in inside.parts
                and path.is_file()
                and not path.is_symlink()
            ):
                found.setdefault(path.suffix.lower(), []).append(path)
    for paths in found.values():
        for path in paths[:: suite.every]:
            with path.open("rb") as file:
                here = file.read(len(_POINTER)) != _POINTER
            yield Case(suite.kind, path.relative_to(place).as_posix(), str(path)) if here else None


def run(suite: Suite, place: Path) -> Result:
    """Try each file of a suite on the decoders, one at a time.

    Parameters
    ----------
    suite : Suite
        Which one.
    place : Path
        Its checkout.
    """
    given = list(cases(suite, place))
    return Result(suite, tuple(tried(case) for case in given if case is not None), given.count(None))


def table(results: Sequence[Result], day: datetime.date) -> str:
    """Give what the page says: the suites and their counts, as Markdown.

    Parameters
    ----------
    results : sequence of Result
        A row each, and one of all.
    day : date
        When they were tried.
    """
    lines = [
        f"Tried on {day.day} {day:%B %Y}:",
        "",
        "| suite | kind | licence | files | answered | of them with a notice | refused | of them damaged on purpose "
        "| wrong exception or crash | over 10 s | over 1 GB | slowest | largest decoder |",
        "|---|---|---|" + "---:|" * 10,
    ]
    for one in results:
        suite = one.suite
        part = "" if suite.every == 1 else f", one file in {suite.every}"
        link = f"[{suite.name}]({suite.address.removesuffix('.git')}/tree/{suite.commit}){part}"
        damaged = one.count("refused") - len(one.refused_valid)
        lines.append(_row([link, suite.kind, suite.licence], one.outcomes, damaged))
    every = [outcome for one in results for outcome in one.outcomes]
    if every:
        damaged = sum(one.count("refused") - len(one.refused_valid) for one in results)
        lines.append(_row(["all", "", ""], every, damaged))
    return "\n".join(lines)


def _row(names: list[str], outcomes: Sequence[Outcome], damaged: int) -> str:
    said = Counter(one.said for one in outcomes)
    counts = [
        len(outcomes),
        said["answered"],
        sum(bool(one.notices) for one in outcomes),
        said["refused"],
        damaged,
        said["crashed"] + said["lost"],
        sum(one.seconds > MOST_SECONDS for one in outcomes),
        sum(one.bytes > MOST_BYTES for one in outcomes),
    ]
    slowest = max((one.seconds for one in outcomes), default=0.0)
    largest = max((one.bytes for one in outcomes), default=0) / 1e6
    cells = [*names, *(f"{count:,}" for count in counts), f"{slowest:.1f} s", f"{largest:,.0f} MB"]
    return f"| {' | '.join(cells)} |"


def reasons(results: Sequence[Result]) -> Iterator[str]:
    """Say why valid files were refused and what answers left out, the most frequent first, and what went wrong.

    Parameters
    ----------
    results : sequence of Result
        Of which suites.
    """
    why: dict[str, list[str]] = {}
    for one in results:
        for outcome in one.outcomes:
            said = [f"notice: {notice}" for notice in outcome.notices]
            if outcome.wrong:
                size = f"{outcome.seconds:.1f} s, {outcome.bytes / 1e6:,.0f} MB"
                said.append(f"WRONG: {outcome.said}, {size}: {outcome.why}")
            elif outcome.said == "refused" and not one.suite.is_damaged(outcome.case.name):
                said.append(f"refused: {outcome.why.partition(' Allowed:')[0].removeprefix('Given: ')}")
            for words in said:
                plain = words.replace(shown(Path(outcome.case.name).name), "FILE")
                why.setdefault(re.sub(r"\d[\d,.]*", "N", plain), []).append(f"{one.suite.name}/{outcome.case.name}")
    for words, names in sorted(why.items(), key=lambda one: -len(one[1])):
        yield f"{len(names)} x {words}"
        yield from (f"    {name}" for name in names)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.suites",
        description="Fetch other projects' test files and try each on the decoders; ends with 1 where one went wrong.",
    )
    found.add_argument("names", nargs="*", metavar="NAME", help="which suites; all where none is named")
    found.add_argument(
        "--from", dest="folder", type=Path, metavar="FOLDER", help="fetch nothing: checkouts lie here, named as suites"
    )
    found.add_argument("--why", action="store_true", help="list refusals and notices by their words, too")
    found.add_argument("--write", action="store_true", help="put the table into docs/security.md")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 where a file went wrong, 2 where a suite could not be had."""
    options = parser().parse_args(arguments)
    known = {suite.name: suite for suite in SUITES}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser().error(f"no suite is called {unknown[0]}: choose from {', '.join(known)}")
    results, missing = [], False
    for suite in [known[name] for name in options.names or known]:
        place = _place(suite, options.folder)
        if place is None:
            missing = True
            continue
        results.append(run(suite, place))
        absent = f", {results[-1].absent} more are not here" if results[-1].absent else ""
        sys.stdout.write(f"{suite.name}: {len(results[-1].outcomes):,} files tried{absent}\n")
        sys.stdout.flush()
    text = table(results, datetime.datetime.now(datetime.timezone.utc).date())
    sys.stdout.write("\n".join(["", text, "", *(reasons(results) if options.why else ()), ""]))
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        PAGE.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")
    return 1 if any(one.wrong for result in results for one in result.outcomes) else 2 if missing else 0


def _place(suite: Suite, folder: Path | None) -> Path | None:
    """Where a suite lies, fetched where no folder was named; None, and a line that says why, where it is not."""
    if folder is not None:
        place = folder / suite.name
        if place.is_dir():
            return place
        sys.stderr.write(f"{suite.name}: left out, {place} is not there\n")
        return None
    if is_offline():
        sys.stderr.write(f"{suite.name}: left out, OMNIBIND_OFFLINE is set; unset it, or name checkouts with --from\n")
        return None
    try:
        return fetched(suite, cache_directory() / "suites")
    except (subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"{suite.name}: left out, git could not fetch it ({error})\n")
        return None


if __name__ == "__main__":
    sys.exit(main())
