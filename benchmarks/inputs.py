"""The files that are measured: TPC-H lineitem, clean and with one per cent of dirty records by a fixed seed."""

import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

SEED = 2026
DIRTY_SHARE = 0.01
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
    folder = data / f"dirty-{size}"
    if folder.exists():
        return folder
    part = data / f"dirty-{size}.part"
    part.mkdir(parents=True, exist_ok=True)
    chance = random.Random(SEED)  # noqa: S311 (the same damage every time is the point)
    for path in sorted(clean(data, size).glob("*.csv")):
        with path.open(encoding="utf-8") as whole, (part / path.name).open("w", encoding="utf-8") as spoilt:
            spoilt.write(next(whole))
            for line in whole:
                spoilt.write(line if chance.random() >= DIRTY_SHARE else damaged(line, chance.randrange(7)))
    return part.rename(folder)


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
