"""The files that are measured: TPC-H lineitem, clean, and with one per cent of dirty or broken records by a seed."""

import random
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

SEED = 2026
SPOILT_SHARE = 0.01
GENERATOR = Path(sys.executable).with_name("tpchgen-cli")
# size -> (scale factor, parts, records to keep of the first part)
SIZES: dict[str, tuple[int, int, int | None]] = {
    "5": (1, 1, 5),
    "1m": (1, 1, 1_000_000),
    "6m": (1, 1, None),
    "24m": (4, 4, None),
}


def clean(data: Path, size: str) -> Path:
    """Give a folder that holds the clean files of this size; they are made once."""
    folder = data / f"clean-{size}"
    if folder.exists():
        return folder
    scale, parts, keep = SIZES[size]
    part = data / f"clean-{size}.part"
    part.mkdir(parents=True, exist_ok=True)
    if keep is None:
        command = [
            GENERATOR,
            "csv",
            "--scale-factor",
            str(scale),
            "--tables",
            "lineitem",
            "--output-dir",
            part,
            "--overwrite",
        ]
        subprocess.run([*command, "--parts", str(parts)] if parts > 1 else command, check=True)
        for path in list(part.glob("lineitem/*.csv")):
            path.rename(part / path.name)
    else:
        with (clean(data, "6m") / "lineitem.csv").open("rb") as whole, (part / "lineitem.csv").open("wb") as first:
            first.writelines(islice(whole, keep + 1))
    return part.rename(folder)


def dirty(data: Path, size: str) -> Path:
    """Give a folder with the same files, one record in a hundred damaged in one of seven ways."""
    return _spoilt(data, size, "dirty", lambda line, chance: damaged(line.decode(), chance.randrange(7)).encode())


def broken(data: Path, size: str) -> Path:
    """Give a folder with the same files, one record in a hundred no longer a record, in one of ten ways."""
    return _spoilt(data, size, "broken", lambda line, chance: torn(line, chance.randrange(10)))


def _spoilt(data: Path, size: str, name: str, spoil: Callable[[bytes, random.Random], bytes]) -> Path:
    folder = data / f"{name}-{size}"
    if folder.exists():
        return folder
    part = data / f"{name}-{size}.part"
    part.mkdir(parents=True, exist_ok=True)
    chance = random.Random(SEED)  # noqa: S311 (the same damage every time is the point)
    for path in sorted(clean(data, size).glob("*.csv")):
        with path.open("rb") as whole, (part / path.name).open("wb") as spoilt:
            spoilt.write(next(whole))
            for line in whole:
                spoilt.write(line if chance.random() >= SPOILT_SHARE else spoil(line, chance))
    return part.rename(folder)


def torn(line: bytes, sort: int) -> bytes:
    """Break a record: a delimiter missing, one or two too many, stray quotes, a bad byte, a NUL, a quote unclosed."""
    values = line.rstrip(b"\n").split(b",", 15)
    texts = {3: b'bro"ken', 4: b'"open', 5: b'close"', 6: b'"a"b', 7: b"x\xffy", 8: b"x\0y"}
    match sort:
        case 0:
            values[13:15] = [values[13] + values[14]]
        case 1 | 2:
            values[3:3] = [b""] * sort
        case 9:
            values[15] = values[15].rstrip(b'"')
        case _:
            values[13] = texts[sort]
    return b",".join(values) + b"\n"


def damaged(line: str, sort: int) -> str:
    """Spoil a record: not a number, negative, impossible date, unknown word, inexact, no key, or a key used twice."""
    values = line.split(",", 15)
    match sort:
        case 0:
            values[4] = "many"
        case 1:
            values[5] = "-" + values[5]
        case 2:
            values[10] = "1996-02-30"
        case 3:
            values[14] = "CAMEL"
        case 4:
            values[6] = "0.999"
        case 5:
            values[0] = ""
        case _:
            values[15] = f"again\n{line}"
    return ",".join(values)
