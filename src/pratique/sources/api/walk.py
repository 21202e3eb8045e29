"""One walk through an API: page after page, side by side where their numbers are known; what is landed is not asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from itertools import count, takewhile
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pratique.apis import ApiInput, JsonPath, Paging, origin
from pratique.errors import SourceError
from pratique.sources.api.client import Answer, Client, head, joined, linked, shown
from pratique.sources.api.echoes import Echoes
from pratique.sources.api.pages import Counted, counted, exact, parsed
from pratique.sources.api.reading import Page, Reading
from pratique.sources.api.requests import Ask, request
from pratique.sources.base import ReadLimits

# Limit: pages without a record, one behind the other, after which nobody believes that more will come.
_EMPTY_MAX: Final = 100
# Limit: pages with the same records, one behind the other, where cursors say that each is another one.
_SAME_MAX: Final = 10
_USELESS: Final = {"useless": True}  # facts of an error after which nobody wants to go on with these pages


@dataclass(slots=True)
class Walk:
    """Lands every page that a reading lacks."""

    asked: ApiInput
    client: Client
    reading: Reading
    limits: ReadLimits
    cursor: str | None  # what stands for {cursor}
    notices: dict[str, None] = field(default_factory=dict)
    echoes: Echoes = field(init=False)
    _uneven: bool = False  # whether pages are known to be short for another reason than that the API grows

    def __post_init__(self) -> None:
        self.echoes = Echoes(self.asked)

    async def run(self) -> None:
        """Walk through every stretch, as many side by side as the connection allows; the first error ends all."""
        stretches = iter(range(len(self.reading.values)))

        async def worker() -> None:
            for stretch in stretches:
                await self._stretch(stretch)

        await together(worker() for _ in range(min(self.client.server.concurrency, len(self.reading.values))))

    async def _stretch(self, stretch: int) -> None:
        paging = self.asked.paging
        if paging is not None and paging.style in {"page", "offset"}:
            await self._numbered(stretch, paging)
        else:
            await self._chained(stretch, paging)

    # --- one page leads to the next -----------------------------------------------------------------------------------

    async def _chained(self, stretch: int, paging: Paging | None) -> None:
        """Page after page, until one leads nowhere. SourceError where the way is a circle, or has no end."""
        number, after = 1, None
        seen: set[str] = set()
        empty = same = 0
        before = ""
        while True:
            page = self.reading.pages.get((stretch, number))
            if page is None:
                page = await self._land(stretch, number, self._chained_ask(stretch, paging, after), paging)
            empty = 0 if page.records else empty + 1
            same = same + 1 if page.records and page.content == before else 0
            before = page.content
            after = page.after
            if after is None:
                self._look_at_total(stretch)
                return
            if after in seen or same >= _SAME_MAX or empty >= _EMPTY_MAX:
                how = "leads back to a page before" if after in seen else "gives the same records again and again"
                how = how if page.records else f"has given no record for {empty} pages"
                raise self._stuck(stretch, number, how)
            seen.add(after)
            number += 1

    def _chained_ask(self, stretch: int, paging: Paging | None, after: str | None) -> Ask:
        if paging is None or after is None:
            return self._ask(stretch)
        if after.startswith(("http://", "https://")) and paging.style != "cursor":
            ours = origin(after) == self.asked.server.origin  # nobody else gets a secret, even if a link holds one
            return replace(self._ask(stretch), url=self.echoes.put_back(after, url=True, ours=ours), params=())
        return self._ask(stretch, paging, self.echoes.put_back(after, url=False, ours=True))

    # --- pages have numbers -------------------------------------------------------------------------------------------

    async def _numbered(self, stretch: int, paging: Paging) -> None:
        """Pages by number or offset, in order of their numbers, some of them asked for ahead.

        The end is an empty page, or what a page tells of their number; never a short page, for some APIs give fewer
        records than they were asked for.
        """
        tasks: dict[int, asyncio.Task[Page]] = {}
        seen: dict[str, int] = {}
        number, records, short = 1, 0, 0
        last: int | None = None  # as `pages` tells it, or because all of `total` is there
        likely: int | None = None  # as `total` and `size` say, if the API gives as many as it is asked for
        ahead = paging.style == "page" or paging.size is not None
        self._forget_end(stretch, paging)
        try:
            while last is None or number <= last:
                known = last or (likely and max(likely, number))
                behind = number + self._ahead(number, known) if ahead else number + 1
                for wanted in range(number, min(behind, (known or behind) + 1)):
                    if wanted not in tasks and (stretch, wanted) not in self.reading.pages:
                        tasks[wanted] = asyncio.create_task(self._number(stretch, wanted, paging, records))
                task = tasks.pop(number, None)
                try:
                    page = await task if task else self.reading.pages[stretch, number]
                except SourceError as error:
                    if likely and number > likely and _no_such_page(error):
                        break
                    raise
                if not page.records and last is None and number >= (likely or 0):
                    break
                records += await self._grown(stretch, paging, page) if ahead and page.records else 0
                short = short if short and self.reading.pages[stretch, short].records < (paging.size or 0) else 0
                self._look_at_number(stretch, page, paging, seen, short, records, likely)
                records += page.records
                short = number if paging.style == "offset" and paging.size and page.records < paging.size else short
                last = page.last or (number if page.total == records else last)
                likely = self._likely(page, paging, records)
                number += 1
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        self._look_at_total(stretch)
        if last is None:
            self._look_for_hole(stretch, number)
        if short and (last is None or short < last):
            await self._look_behind(stretch, paging, short, records)

    def _forget_end(self, stretch: int, paging: Paging) -> None:
        """Ask again for what was the end when an earlier run was killed: records may stand there now.

        Only with a cursor, whose position would leave them behind for ever; else the next run reads all anyway.
        """
        if self.asked.cursor is None or not self.reading.resumed:
            return
        there = {number: page.records for (of, number), page in self.reading.pages.items() if of == stretch}
        filled = [number for number, records in there.items() if records]
        full = paging.size or max((there[number] for number in filled[:-1]), default=there.get(1, 0) + 1)
        ends = [number for number, records in there.items() if not records]
        if filled and there[max(filled)] < full:
            ends.append(max(filled))
        for number in ends:
            del self.reading.pages[stretch, number]

    async def _grown(self, stretch: int, paging: Paging, behind: Page) -> int:
        """How many more records a short page has now that the one behind it is not empty; it is landed once more.

        What was the last page when it was asked for fills up while the API grows. One that does not was short for
        another reason, as others will be: none of them is asked for again.
        """
        number = behind.number - 1
        page = self.reading.pages.get((stretch, number))
        full = paging.size or max(self.reading.pages[stretch, 1].records, behind.records)
        if self._uneven or page is None or page.records >= full:
            return 0
        now = await self.client.fetch(self._numbered_ask(stretch, paging, number, 0))
        self._uneven = self._counted(now, number).records <= page.records
        if self._uneven:
            return 0
        return (await self._number(stretch, number, paging, 0)).records - page.records

    @staticmethod
    def _likely(page: Page, paging: Paging, records: int) -> int | None:
        """The number of the last page, if the API gives as many as it is asked for; None where that is not known."""
        if page.total is None or paging.size is None or page.total <= records:
            return None
        return -(-page.total // paging.size)

    def _look_for_hole(self, stretch: int, number: int) -> None:
        """Raise SourceError if a page behind the empty one that ended the walk, asked for ahead, is not empty."""
        ahead_of_end = (
            self.reading.pages.get((stretch, number + more)) for more in range(1, self._ahead(number, 0) + 1)
        )
        beyond = next((page.number for page in ahead_of_end if page and page.records), None)
        if beyond is not None:
            hint = "have the API repaired, or say with `total` or `pages` where it ends"
            told = f"page {number} is empty, but page {beyond} is not"
            raise SourceError(f"{self.asked.name}: {told}", hint=hint, facts=_USELESS)

    async def _look_behind(self, stretch: int, paging: Paging, short: int, records: int) -> None:
        """Raise SourceError if records stand right behind a short page that looked like the last one.

        An API that gives at most 10 at once has nothing at offset 100, and 25 records between. One that leaves records
        out after it has cut its pages gives there what is known already. One to which records were added meanwhile
        gives more on the short page, too.
        """
        page = self.reading.pages[stretch, short]
        try:
            behind = await self._again(stretch, paging, records)
            if not behind - _texts(self.reading.body(page), self.asked.records):
                return
            now = await self._again(stretch, paging, (paging.size or 0) * (short - 1))
        except SourceError as error:
            if _no_such_page(error):
                return
            raise
        if len(now) <= page.records:
            raise self._too_short(page, paging)

    async def _again(self, stretch: int, paging: Paging, offset: int) -> set[str]:
        """The records at an offset, asked for only to be looked at."""
        answer = await self.client.fetch(self._ask(stretch, paging, str(paging.first + offset)))
        return _texts(answer.body, self.asked.records)

    def _too_short(self, page: Page, paging: Paging) -> SourceError:
        return SourceError(
            f"{self.asked.name}: a page has {page.records} records instead of {paging.size}, and is not the last one",
            hint=f"the API gives no more at once: write size: {page.records}",
            facts=_USELESS,
        )

    def _ahead(self, number: int, last: int | None) -> int:
        """How many pages are asked for at once: while nobody knows the end, no more than were there already."""
        most = self.client.server.concurrency
        return min(most, max(1, number - 1)) if last is None else 2 * most

    def _look_at_total(self, stretch: int) -> None:
        """Tell where the API tells of more records than it gave."""
        if self.asked.paging is None or self.asked.paging.total is None:
            return
        numbers = takewhile(lambda number: (stretch, number) in self.reading.pages, count(1))
        pages = [self.reading.pages[stretch, number] for number in numbers]
        total = next((page.total for page in reversed(pages) if page.total is not None), None)
        found = sum(page.records for page in pages)
        if total is not None and found < total:
            of = "".join(f" {value}" for value in self.reading.values[stretch])
            self.notices[f"{self.asked.name}{of} tells of {total:,} records and gave {found:,}"] = None

    def _look_at_number(
        self,
        stretch: int,
        page: Page,
        paging: Paging,
        seen: dict[str, int],
        short: int,
        records: int,
        likely: int | None,
    ) -> None:
        """Raise SourceError for a page that shows that the walk loses records, or leads nowhere."""
        if short and page.records:
            raise self._too_short(self.reading.pages[stretch, short], paging)
        fits = (
            page.total is not None and records + page.records <= page.total and page.number <= (likely or page.number)
        )
        told = page.last is not None or fits
        if page.content and seen.setdefault(page.content, page.number) != page.number and not told:
            how = f"has the records of page {seen[page.content]}: does the API know `{paging.param}`?"
            raise self._stuck(stretch, page.number, how)

    async def _number(self, stretch: int, number: int, paging: Paging, records: int) -> Page:
        return await self._land(stretch, number, self._numbered_ask(stretch, paging, number, records), paging)

    def _numbered_ask(self, stretch: int, paging: Paging, number: int, records: int) -> Ask:
        if paging.style == "page":
            value = paging.first + number - 1
        else:
            value = paging.first + (paging.size * (number - 1) if paging.size else records)
        return self._ask(stretch, paging, str(value))

    # --- one page -----------------------------------------------------------------------------------------------------

    def _ask(self, stretch: int, paging: Paging | None = None, value: str | None = None) -> Ask:
        return request(self.asked, self.cursor, self.reading.values[stretch], paging, value)

    async def _land(self, stretch: int, number: int, ask: Ask, paging: Paging | None) -> Page:
        """Ask for a page and land it."""
        self._check_limits()
        try:
            answer = await self.client.fetch(ask)
        except SourceError as error:
            facts = {**error.facts, "page": number}
            raise type(error)(f"page {number}: {error.message}", hint=error.hint, facts=facts) from error
        found = self._counted(answer, number)
        body = self.echoes.hidden(answer.body)
        own = Page(
            stretch,
            number,
            self.reading.size,
            len(body),
            _sha256(body),
            found.records,
            found.content,
            self._after(answer, found, paging) if answer.body else None,
            _whole(paging and paging.total, found.value),
            _whole(paging and paging.pages, found.value),
        )
        return self.reading.add(body, own)

    def _counted(self, answer: Answer, number: int) -> Counted:
        if not answer.body.strip():
            if answer.status == 204:  # noqa: PLR2004 - No Content
                return Counted(None, 0, "")
            raise SourceError(
                f"page {number}: {shown(answer.url)} answers 200 with an empty body", hint="have it repaired"
            )
        try:
            return counted(answer.body, self.asked.records)
        except SourceError as error:
            told = f"page {number} of {shown(answer.url)}: {error.message}: {head(answer.body)}"
            raise SourceError(told, hint=error.hint) from error

    def _after(self, answer: Answer, found: Counted, paging: Paging | None) -> str | None:
        """What leads to the next page: a URL that may be asked, or a text; None at the end."""
        if paging is None or paging.style in {"page", "offset"}:
            return None
        if paging.style == "cursor":
            assert paging.path is not None  # noqa: S101 - the style has one
            after = exact(answer.body, paging.path)
            return after and self.echoes.taken_out(after, url=False)
        told = self._told_next(answer, found, paging)
        if paging.style == "next_page_header" and not told.startswith(("http://", "https://", "/")):
            return self.echoes.taken_out(told, url=False) or None
        if not told:
            return None
        url = joined(answer.url, told)
        self.client.check(url, "the next page", came_from=answer.url)
        return self.echoes.taken_out(self._without_key(url), url=True)

    def _told_next(self, answer: Answer, found: Counted, paging: Paging) -> str:
        """What an answer says of the next page; empty at the end."""
        if paging.style == "next_page_header":
            return answer.headers.get(paging.where, "").strip()
        if paging.style == "link_header":
            return linked(answer.link, paging.where)
        assert paging.path is not None  # noqa: S101 - the style has one
        value = paging.path.one(found.value)
        if value is not None and not isinstance(value, str):
            told = f"the next page at {paging.where!r} is no URL"
            raise SourceError(told, hint="is it a cursor? paginate: {cursor: …}")
        return value or ""

    def _without_key(self, url: str) -> str:
        """A URL without our key, whatever an API makes of it: it is put on again when the page is asked for."""
        auth = self.asked.server.auth
        parts = urlsplit(url)
        if auth.type != "api_key" or auth.place != "query" or auth.name not in parts.query:
            return url
        kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != auth.name]
        return urlunsplit(parts._replace(query=urlencode(kept)))

    def _check_limits(self) -> None:
        pages, most = len(self.reading.pages), self.limits.pages_max
        if pages >= most:
            hint = "read fewer with `cursor` or `params`, or raise limits.pages_max"
            raise SourceError(f"{self.asked.name} has more than {most:,} pages", hint=hint)
        if self.reading.size > self.limits.unpacked_bytes_max:
            hint = "read fewer with `cursor` or `params`, or raise limits.unpacked_bytes_max"
            raise SourceError(f"its pages take more than {self.limits.unpacked_bytes_max:,} bytes", hint=hint)

    def _stuck(self, stretch: int, number: int, how: str) -> SourceError:
        of = "/".join(self.reading.values[stretch])
        where = f" of {of}" if of else ""
        return SourceError(
            f"{self.asked.name}: no progress: page {number}{where} {how}",
            hint="nothing of it was loaded; correct `paginate`, or have the API repaired",
            facts=_USELESS,
        )


def _no_such_page(error: SourceError) -> bool:
    """Whether an API refuses a page because it has none there."""
    return error.facts.get("status") in {400, 404, 416, 422}


def _texts(body: bytes, records: JsonPath) -> set[str]:
    """The records of a page, each as one text; none of an empty one."""
    return {json.dumps(record, sort_keys=True) for record in records.records(parsed(body))} if body.strip() else set()


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _whole(path: Any, value: Any) -> int | None:
    """The whole number at a path, None without one."""
    found = path.one(value) if path else None
    if isinstance(found, str) and re.fullmatch("[0-9]{1,15}", found):
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


async def together(works: Any) -> None:
    """Run all of them; the first error ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        first = next(_single(errors))
        raise first from first.__cause__


def _single(error: BaseException) -> Any:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _single(inner)
    else:
        yield error


async def walk(asked: ApiInput, reading: Reading, limits: ReadLimits, cursor: str | None) -> list[str]:
    """Land every page that the reading lacks; what people should know of it. SourceError ends the walk."""
    async with Client(asked.server, limits) as client:
        own = Walk(asked, client, reading, limits, cursor)
        try:
            async with asyncio.timeout(limits.read_seconds_max):
                await own.run()
        except TimeoutError as error:
            raise SourceError(
                f"{asked.name} was read for more than {limits.read_seconds_max:,.0f} seconds",
                hint="what was read is kept: run again to go on, or raise limits.read_seconds_max",
            ) from error
        return [*own.notices, *client.notices]


async def first_answer(asked: ApiInput, limits: ReadLimits, cursor: str | None, value: tuple[str, ...]) -> Answer:
    """The first page, as it is answered."""
    paging = asked.paging
    numbered = paging is not None and paging.style in {"page", "offset"}
    first = str(paging.first) if paging and numbered else None
    async with Client(asked.server, limits) as client:
        return await client.fetch(request(asked, cursor, value, paging if numbered else None, first))
