"""The bare way: a concurrent client writes each page into a file, and DuckDB loads them typed and unchecked."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import duckdb

CONCURRENCY = 16
COLUMNS = (
    'STRUCT(id BIGINT, "order" VARCHAR, email VARCHAR, amount DECIMAL(12,2), quantity BIGINT, status VARCHAR, '
    "updated_at TIMESTAMPTZ, note VARCHAR)[]"
)


async def download(url: str, pages: int, folder: Path) -> None:
    """Ask for all pages, so many at once."""
    numbers = iter(range(1, pages + 1))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:

        async def work() -> None:
            for page in numbers:
                async with session.get(f"{url}/orders?page={page}") as response:
                    (folder / f"{page}.json").write_bytes(await response.read())

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


def main() -> None:
    """Load the pages of the API named first, so many, into the database named third."""
    url, pages, target = sys.argv[1:]
    folder = Path("pages")
    folder.mkdir()
    asyncio.run(download(url, int(pages), folder))
    with duckdb.connect(target) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT unnest(data, recursive := true) FROM "
            f"read_json('pages/*.json', columns = {{data: '{COLUMNS}'}})"
        )


if __name__ == "__main__":
    main()
