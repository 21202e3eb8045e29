"""File sources: which files are new, and each of them described, fingerprinted and counted."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

from pratique.errors import ConfigurationError, SourceError, SourceUnreachableError
from pratique.gauge import Amount, gauge
from pratique.model import (
    Disposition,
    FileVersion,
    HeldFile,
    Landed,
    LandedFile,
    Part,
    Position,
    RawRecord,
)
from pratique.schema import Dialect, Schema
from pratique.sources.base import SHOWN_RECORDS, Probe, ReadLimits, Step
from pratique.sources.files.folder import Folder, LocalFolder
from pratique.sources.files.pattern import Candidate, PathPattern
from pratique.sources.files.survey import (
    Descriptor,
    Survey,
    check_kind,
    check_regular,
    fingerprint,
    join_forms,
    kind,
    open_inside,
)
from pratique.sources.files.unpack import unpacked

_Content = tuple[str, ...]  # a hash, and parts of a path

FORMATS: tuple[str, ...] = ("csv", "jsonl", "json", "excel", "parquet")


@dataclass(frozen=True, slots=True)
class _Found:
    """A candidate after its survey; equal while the file is unchanged."""

    candidate: Candidate
    real: Path  # what is read: the file itself, or what it was unpacked to
    descriptor: Descriptor
    survey: Survey

    @property
    def version(self) -> FileVersion:
        return FileVersion(self.candidate.name, self.survey.sha256, self.survey.size, self.candidate.tag)

    @property
    def landed(self) -> LandedFile:
        survey = self.survey
        path = survey.path or self.real
        captures = self.candidate.captures
        return LandedFile(path, self.version, survey.records, survey.first_number, captures, survey.blank_lines)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Gives records back as they stand in the landed files."""

    surveys: Mapping[str, Survey]

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records of `file` with these numbers, ascending, each once."""
        del part
        return self.surveys[file.version.name].records_of(numbers)


@dataclass(slots=True)
class _Plan:
    """What one `land` has chosen so far."""

    chosen: list[_Found] = field(default_factory=list)
    skipped: list[FileVersion] = field(default_factory=list)
    held: list[HeldFile] = field(default_factory=list)
    supersedes: list[str] = field(default_factory=list)
    more: bool = False


@dataclass(slots=True)
class FileSource:
    """The files that a path pattern names, below `base` or in a `folder`. Holds nothing open between two calls."""

    name: str
    path: str
    base: Path
    format: str
    schema: Schema
    disposition: Disposition = "append"
    on_new_version: str | None = None
    overrides: tuple[tuple[Mapping[str, str], Dialect], ...] = ()
    limits: ReadLimits = field(default_factory=ReadLimits)
    workspace: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    records: tuple[str, ...] = ()  # keys that lead to the array of records in a JSON file
    folder: Folder | None = None
    _folder: Folder = field(init=False, repr=False)
    _taken: tuple[str, ...] = field(init=False, repr=False)  # parts of the path that make a record what it is
    _told: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False)  # what those are, by name
    _bytes_before: int = field(default=0, init=False, repr=False)
    _surveys: dict[str, _Found] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            near = difflib.get_close_matches(self.format, FORMATS, 1)
            hint = f"did you mean {near[0]}?" if near else "served are " + ", ".join(FORMATS)
            raise ConfigurationError(f"the format {self.format!r} of the source {self.name} is not served", hint=hint)
        self._folder = self.folder or LocalFolder(PathPattern(self.path, self.base))
        fields = {item.capture for item in self.schema.fields if item.capture is not None}
        self._taken = tuple(sorted(fields.union(self.schema.nested_captures, *(when for when, _ in self.overrides))))

    def probe(self) -> Probe:
        """Look for files, and read the smallest of them."""
        step: Step = "address"
        try:
            files = self._candidates(Position())
            step = "records"
            smallest = min(files, key=lambda item: (_size(item) or 1 << 62, item.name))
            with self._folder.bringing([smallest]):
                survey = self._open(smallest).survey
        except SourceError as error:
            return Probe.of(error, step)
        numbers = range(survey.first_number, survey.first_number + min(survey.records, SHOWN_RECORDS))
        records = tuple(record.values for record in survey.records_of(numbers))
        match = "1 file matches" if len(files) == 1 else f"{len(files):,} files match"
        told = f"{match} {self.path!r} in {self._folder.shown}; these are of {smallest.name}"
        return Probe(True, told, records)

    def land(self, since: Position) -> Landed:
        """Describe the files that are new since `since`, at most `files_per_load_max` of them; each is read once.

        A file that cannot be read or does not fit is held and blocks itself only; a `replace` source however lands
        nothing while one of its files is held, because the table would lose that file's rows. Files known by their
        content, and second copies, are `skipped`. Raises SourceError if there is no file at all.
        """
        candidates = self._candidates(since)
        replaces = self.disposition == "replace"  # which reads all of its files again when one more has come
        known = _by_tag(since.latest if replaces else since.known)
        wanted = [item for item in candidates if known.get((item.name, item.tag)) is None]
        if replaces and known and not wanted and len(known) == len(candidates):
            return self._landed(_Plan(skipped=[*since.latest]))
        with gauge.measuring(self._amount(candidates)), self._folder.bringing(candidates if replaces else wanted):
            if replaces:
                return self._landed(self._plan_replace(candidates, since))
            self._forget_unpacked(since)
            return self._landed(self._plan(candidates, since))

    def _amount(self, candidates: list[Candidate]) -> Callable[[], Amount | None]:
        """How many bytes of the files are read, of all that match; what is known already counts as read."""
        total = sum(map(_size, candidates))
        self._bytes_before = 0
        return lambda: Amount("bytes", min(self._bytes_before + gauge.position, total), total)

    def _forget_unpacked(self, since: Position) -> None:
        """Give back the disk of packed files that earlier loads have dealt with: they are not read again."""
        newest = {version.name: version.sha256 for version in since.known}
        for name, found in self._surveys.items():
            if found.real.parent == self.workspace and newest.get(name) == found.survey.sha256:
                found.real.unlink(missing_ok=True)
                self._folder.forget(found.candidate)
            for path in found.survey.scratch if newest.get(name) == found.survey.sha256 else ():
                path.unlink(missing_ok=True)

    def _candidates(self, since: Position) -> list[Candidate]:
        candidates = self._folder.files()
        if not candidates and (not since.known or self.disposition == "replace"):
            raise SourceError(
                f"no file matches {self.path!r} in {self._folder.shown}",
                hint="check the path of the source; hidden files are not matched"
                + ("; the table keeps its rows" if since.known else ""),
            )
        return candidates

    def _plan_replace(self, candidates: list[Candidate], since: Position) -> _Plan:
        plan = _Plan()
        contents: set[_Content] = set()
        for candidate in candidates:
            found = self._survey(candidate, plan, frozenset())
            if found is None:
                continue
            if (content := self._content(found.version)) in contents:
                plan.skipped.append(found.version)
            else:
                contents.add(content)
                plan.chosen.append(found)
        versions = [found.version for found in plan.chosen]
        if plan.held:
            plan.chosen.clear()
            plan.skipped.clear()  # a copy of a file that is not loaded is not loaded before
        elif versions and set(versions) == set(since.latest):
            plan.chosen.clear()
            plan.skipped = [*versions, *plan.skipped]
        return plan

    def _plan(self, candidates: list[Candidate], since: Position) -> _Plan:
        plan = _Plan()
        contents = set(map(self._content, since.known))
        newest = {version.name: version.sha256 for version in since.known}
        tagged = _by_tag(since.known)
        alone = self.on_new_version == "replace"  # its rows are found again by the id of its load
        for candidate in candidates:
            if (version := tagged.get((candidate.name, candidate.tag))) is not None:
                plan.skipped.append(version)
                continue
            if self._is_full(plan, candidate):
                plan.more = True
                break
            found = self._survey(candidate, plan, contents)
            if found is None:
                continue
            again = candidate.name in newest
            if self._is_known(found, newest.get(candidate.name), contents):
                plan.skipped.append(found.version)
                continue
            if again and not self._accepts_new_version(found, contents, plan):
                continue
            # New versions are merged, new files are not: no load holds both.
            apart = self.on_new_version == "merge" and again != bool(plan.supersedes)
            if plan.chosen and (alone or apart or len(plan.chosen) >= self.limits.files_per_load_max):
                plan.more = True
                break
            contents.add(self._content(found.version))
            plan.chosen.append(found)
            if again and self._replaces:
                plan.supersedes.append(candidate.name)
        return plan

    def _is_full(self, plan: _Plan, candidate: Candidate) -> bool:
        """Whether what is landed for one load would take more disk than it may."""
        limit = self.limits.unpacked_bytes_max
        landed = sum(max(found.candidate.size, 0) for found in plan.chosen)
        return bool(plan.chosen) and candidate.size <= limit < landed + candidate.size

    @property
    def _replaces(self) -> bool:
        """Whether a new version of a file takes the place of its rows, so that returning to an old one is news."""
        return self.disposition == "merge" or self.on_new_version in {"replace", "merge"}

    def _content(self, version: FileVersion) -> _Content:
        """What the records of a file are made of: its bytes, and what its path says of them.

        Its bytes alone where the pattern, having changed, does not name it any longer.
        """
        if not self._taken:
            return (version.sha256,)
        told = self._told.get(version.name)
        if told is None:
            captures = self._folder.captures(version.name)
            told = self._told[version.name] = tuple(captures[name] for name in self._taken if name in captures)
        return (version.sha256, *told)

    def _is_among(self, version: FileVersion, contents: AbstractSet[_Content]) -> bool:
        return not contents.isdisjoint({(version.sha256,), self._content(version)})

    def _is_known(self, found: _Found, newest: str | None, contents: AbstractSet[_Content]) -> bool:
        if newest and self._replaces:
            return found.survey.sha256 == newest
        return self._is_among(found.version, contents)

    def _accepts_new_version(self, found: _Found, contents: AbstractSet[_Content], plan: _Plan) -> bool:
        refused = self.on_new_version == "refuse"
        reason = "it has new content under a known name"
        twice = self._is_among(found.version, contents) and found.survey.records
        if self.on_new_version == "replace" and twice:
            reason = "its content is now that of another file, which is loaded"
            hint = "remove one of the two, or give this one its own content: its earlier rows are still there"
        elif not refused and (self.on_new_version or self.disposition == "merge" or _every_row_has_a_key(self.schema)):
            return True
        elif refused:
            hint = "`on_new_version: refuse` is declared; give the file a new name"
        else:
            hint = "declare `on_new_version: replace | merge | append | refuse`, or give the schema a primaryKey"
        plan.held.append(HeldFile(found.version, reason, hint))
        return False

    def _survey(self, candidate: Candidate, plan: _Plan, known: AbstractSet[_Content]) -> _Found | None:
        """Survey a file, or remember why it is held; one whose content is known is skipped whatever it is."""
        before = self._surveys.get(candidate.name)
        if before is not None and before.candidate.tag == candidate.tag and _unchanged(before):
            self._bytes_before += before.survey.size
            return before
        try:
            found = self._open(candidate)
        except SourceUnreachableError:  # not the fault of this file
            raise
        except SourceError as error:
            sha256 = str(error.facts.get("sha256", ""))
            version = FileVersion(candidate.name, sha256, int(error.facts.get("size", 0)))
            if self._is_among(version, known):
                plan.skipped.append(version)
            else:
                plan.held.append(HeldFile(version, error.message, error.hint))
            return None
        self._surveys[candidate.name] = found
        return found

    def _open(self, candidate: Candidate) -> _Found:
        if candidate.problem:
            raise SourceError(candidate.problem, hint=f"the path is {self.path!r}")
        candidate, base = self._folder.here(candidate)
        handle, real = open_inside(candidate.path, base)
        try:
            check_regular(handle)
            before = Descriptor.of(os.fstat(handle))
            inner = unpacked(handle, self.workspace, self.limits) if self._may_be_packed(handle) else None
            survey = self._unpacked(candidate, handle, inner) if inner else self._surveyed(candidate, handle, real)
            self._bytes_before, gauge.position = self._bytes_before + before.size, 0
            same = before == Descriptor.of(os.fstat(handle)) == Descriptor.of(real.stat())
        except OSError as error:
            raise SourceError(f"it cannot be read: {error.strerror}", hint="run again when it can") from error
        finally:
            os.close(handle)
        if not same or survey.size != before.size:
            raise SourceError("it changed while it was read", hint="run again when its sender has finished it")
        return _Found(candidate, inner or real, before, survey)

    def _may_be_packed(self, handle: int) -> bool:
        """Whether a file is looked at for a packing: Parquet packs itself, and a workbook is a zip."""
        if self.format == "excel":
            from pratique.sources.files.excel_parts import is_workbook  # noqa: PLC0415 - a run needs one format

            return not is_workbook(handle)
        return self.format != "parquet"

    def _surveyed(self, candidate: Candidate, handle: int, path: Path) -> Survey:
        if self.format == "excel":
            from pratique.sources.files.excel_file import survey_excel  # noqa: PLC0415 - a run needs one format

            return survey_excel(handle, self.schema, self._dialect(candidate.captures), self.limits, self.workspace)
        check_kind(handle)
        return self._surveyor(candidate)(handle, path)

    def _unpacked(self, candidate: Candidate, handle: int, inner: Path) -> Survey:
        """The survey of what was packed, under the hash and size of the file as it lies there."""
        sha256, size = fingerprint(handle)
        content = os.open(inner, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return replace(self._surveyed(candidate, content, inner), sha256=sha256, size=size)
        except SourceError as error:
            inner.unlink()
            facts = {**error.facts, "sha256": sha256, "size": size}
            raise SourceError(error.message, hint=error.hint, facts=facts) from error
        finally:
            os.close(content)

    def _surveyor(self, candidate: Candidate) -> Callable[[int, Path], Survey]:
        if self.format == "csv":
            from pratique.sources.files.csv_file import survey_csv  # noqa: PLC0415 - a run needs one format

            dialect = self._dialect(candidate.captures)
            return lambda handle, path: survey_csv(handle, path, self.schema, dialect, self.limits, self.workspace)
        if self.format == "jsonl":
            from pratique.sources.files.jsonl import survey_jsonl  # noqa: PLC0415 - a run needs one format

            return lambda handle, path: survey_jsonl(handle, path, self.schema, self.limits)
        if self.format == "json":
            from pratique.sources.files.json_file import survey_json  # noqa: PLC0415 - a run needs one format

            return lambda handle, path: survey_json(handle, path, self.schema, self.limits, self.records)
        from pratique.sources.files.parquet import survey_parquet  # noqa: PLC0415 - it opens DuckDB

        return lambda handle, path: survey_parquet(handle, path, self.schema, self.limits)

    def _dialect(self, captures: Mapping[str, str]) -> Dialect:
        for when, dialect in self.overrides:
            if all(captures.get(name) == value for name, value in when.items()):
                return dialect
        return self.schema.dialect

    def _landed(self, plan: _Plan) -> Landed:
        groups: dict[tuple[object, ...], list[_Found]] = {}
        for found in plan.chosen:
            groups.setdefault(kind(found.survey.form), []).append(found)
        parts = tuple(
            Part(join_forms([found.survey.form for found in group]), tuple(found.landed for found in group))
            for group in groups.values()
        )
        chosen = tuple(plan.chosen)
        return Landed(
            source=self.name,
            parts=parts,
            reader=_Reader({found.candidate.name: found.survey for found in chosen}),
            skipped=tuple(plan.skipped),
            held=tuple(plan.held),
            more=plan.more,
            supersedes=tuple(plan.supersedes),
            notices=tuple(_notices(self.name, chosen)),
            verify=lambda: _verify(chosen),
        )


def _every_row_has_a_key(schema: Schema) -> bool:
    """Whether a row that is there already is always known by a key: rows whose key is NULL would come twice."""
    required = {item.name for item in schema.fields if item.required and item.severity != "warn"}
    return any(name == "primaryKey" or required.issuperset(fields) for name, fields in schema.keys)


def _notices(source: str, chosen: Sequence[_Found]) -> Iterator[str]:
    """What was noticed, once for all files of which the same is true."""
    names: dict[str, list[str]] = {}
    for found in chosen:
        for notice in found.survey.notices:
            names.setdefault(notice, []).append(found.candidate.name)
    for notice, files in names.items():
        more = f" (and so in {len(files) - 1:,} more files)" if len(files) > 1 else ""
        yield f"{source}: {files[0]}: {notice}{more}"


def _size(candidate: Candidate) -> int:
    """In bytes; 0 if it cannot be told: it is told where the file is read."""
    with contextlib.suppress(OSError):
        return candidate.size if candidate.size >= 0 else candidate.path.stat().st_size
    return 0


def _by_tag(versions: Sequence[FileVersion]) -> dict[tuple[str, str], FileVersion]:
    """Of each name its newest version, by the tag that a cloud gave it; what has no tag must be read to be known."""
    newest = {version.name: version for version in versions}
    return {(version.name, version.tag): version for version in newest.values() if version.tag}


def _unchanged(found: _Found) -> bool:
    try:
        return Descriptor.of(found.candidate.path.stat()) == found.descriptor
    except OSError:
        return False


def _verify(chosen: Sequence[_Found]) -> None:
    """Raise SourceError if a file is no longer what was fingerprinted."""
    for found in chosen:
        if not _unchanged(found):
            raise SourceError(
                f"{found.candidate.name} changed while it was read",
                hint="nothing of it was loaded; run again when its sender has finished it",
            )
