"""What the plain name of a model means: a log of promotions, of which the latest entry says it.

The entries are numbered versions, each published in one atomic step, so promoting is a compare-and-swap: who read entry
5 publishes entry 6 and no other, or learns that somebody else did. No entry is ever changed or removed.

A model without any entry is *unmanaged*: its name means the latest version. The first entry, "adopt", says what the
name meant until then; from then on a new version is a candidate until it is promoted. An entry holds the whole state:
the `version` that the name means, and the `previous` one, to which a rollback goes.

    1 adopt     7 (before: 6)
    2 fence     7 (6)           the same again: who read entry 1 cannot publish entry 2 any more
    3 promote   8 (7)
    4 promote   9 (8)
    5 rollback  8 (7)           as after entry 3
    6 rollback  7 (6)           as after entry 2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from hdfs_layout import (
    Reference,
    Root,
    decode_document,
    find_version,
    latest_version,
    list_versions,
    publish_version_as,
    read_version,
)
from hdfs_layout.dataclass import dataclass
from hdfs_layout.limits import MAX_VERSION
from hdfs_layout.paths import join, version_file
from mr_ml.data import stored
from mr_ml.errors import AlreadyExistsError, BadDataError, LockedError, MrMlError, NotFoundError, UsageError
from mr_ml.whoami import described

VersionNumber = Annotated[int, stored.at_least(1), stored.at_most(MAX_VERSION)]
Time = Annotated[str, stored.matching(r"\d{4}(-\d{2}){2}T\d{2}(:\d{2}){2}Z", "a time such as 2026-11-26T02:15:00Z")]


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """An entry of the log.

    Attributes
    ----------
    number
        Of the entry.
    version
        What the name means from now on; None if there is no version yet that it could mean.
    action
        "adopt": the first entry; "promote"; "rollback"; "fence": nothing but a new number.
    previous
        The version to which a rollback from this state goes; None if there is none.
    at
        When, in UTC.
    by
        Who, see `mr_ml.whoami`.
    reason
        That was given.
    forced
        Whether the gate had refused the version.
    retrain
        The retraining whose candidate was promoted; a retraining promotes once.
    """

    kind: Literal["promotion"] = "promotion"
    number: VersionNumber
    version: VersionNumber | None
    action: Literal["adopt", "promote", "rollback", "fence"]
    previous: VersionNumber | None
    at: Time
    by: Mapping[str, Any]
    reason: str | None = None
    forced: bool = False
    retrain: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**vars(self), "by": dict(self.by)}


def latest_promotion(root: Root, name: str) -> Promotion | None:
    """Return the latest entry; None if the model is not managed.

    Raises
    ------
    BadDataError
        If that entry is damaged: what the name means is not known then, and nothing else is taken for it.
    """
    number = latest_version(root.store, root.layout.promotions(name))
    return None if number is None else _read(root, name, number)


def promoted_version(root: Root, name: str) -> int | None:
    """Return the version that the plain name of a model means; None if there is none. Raises as `latest_promotion`."""
    entry = latest_promotion(root, name)
    return latest_version(root.store, root.layout.model(name)) if entry is None else entry.version


def promoted_since(root: Root, name: str) -> str | None:
    """Return when the name of a model came to mean what it means, in UTC; None if it is not managed or means nothing.

    Raises as `latest_promotion`.
    """
    for number in reversed(list_versions(root.store, root.layout.promotions(name))):
        entry = _read(root, name, number)
        if entry.action != "fence":
            return None if entry.version is None else entry.at
    return None


def version_before(root: Root, name: str) -> int | None:
    """Return the version to which a rollback would go; None if there is none. Raises as `latest_promotion`."""
    entry = latest_promotion(root, name)
    return _unmanaged(root, name)[1] if entry is None else entry.previous


def standing(root: Root, name: str, version: int) -> tuple[bool, str | None]:
    """Whether a version that was just published needs no promotion to be what the name means; if it does, a sentence.

    What cannot be found out is said and no error: the version is published.
    """
    try:
        entry = latest_promotion(root, name)
    except MrMlError as error:
        return False, f"warning: {name}@{version} is published, but what {name} means could not be read: {error}"
    if entry is None or entry.version == version:
        return True, None
    meant = "no version yet" if entry.version is None else f"{name}@{entry.version}"
    return False, (
        f"{name}@{version} is a candidate: {name} means {meant} until it is promoted, "
        f"`mr-ml models promote {name}@{version}`"
    )


def named_version(root: Root, wanted: Reference) -> int | None:
    """Return the number of the version of a model that a reference names; None for the latest.

    Raises
    ------
    NotFoundError
        If it is a plain name and no version of that model is promoted.
    BadDataError
        As `latest_promotion`.
    """
    if wanted.version is not None or wanted.newest:
        return wanted.version
    entry = latest_promotion(root, wanted.name)
    if entry is None:
        return None
    if entry.version is not None:
        return entry.version
    name = wanted.name
    candidates = [f"{name}@{number}" for number in list_versions(root.store, root.layout.model(name))]
    if not candidates:
        raise NotFoundError(f"expected a version of {name} in {root.store.root}; found none yet: train it first")
    raise NotFoundError(
        f"expected that a version of {name} is promoted; found {len(candidates)} candidate(s), none promoted: "
        f"{', '.join(candidates[-10:])}. Use such a name, or promote one: `mr-ml models promote {candidates[-1]}`"
    )


def manage(root: Root, name: str, *, by: Mapping[str, Any]) -> Promotion:
    """Write the first entry, by which the name goes on to mean what it meant; nothing if the model is managed.

    Returns
    -------
    Promotion
        The latest entry.

    Raises
    ------
    StorageError
        If it cannot be written.
    BadDataError
        As `latest_promotion`.
    """
    entry = latest_promotion(root, name)
    if entry is not None:
        return entry
    version, previous = _unmanaged(root, name)
    try:
        return _publish(root, name, 1, version=version, action="adopt", previous=previous, by=by)
    except AlreadyExistsError:
        return _read(root, name, latest_version(root.store, root.layout.promotions(name)) or 1)


def promote(
    root: Root, name: str, version: int, *, by: Mapping[str, Any], reason: str | None = None, forced: bool = False,
    after: int | None = None, retrain: str | None = None, began: int = 0,
) -> Promotion:  # fmt: skip
    """Let the name mean this version; the files of versions are not touched.

    Parameters
    ----------
    after
        Number of the entry that the caller saw, 0 if there was none: nothing but the entry after it is published. None
        to promote whatever came in between; then the latest entry may be damaged.
    retrain
        The retraining for which this is called: what it promoted before is returned, whatever came after it.
    began
        Number of an entry that was there when that retraining began: it and those before it are not read.

    Raises
    ------
    NotFoundError
        If there is no such version.
    LockedError
        If there is another entry after `after` by now.
    BadDataError
        If the version's manifest is damaged; with `after` also if that entry is.
    StorageError
        If it cannot be written.
    """
    folder = root.layout.promotions(name)
    read_version(root.store, root.layout.model(name), version)
    if retrain is not None:
        number = find_version(root.store, folder, key="retrain", value=retrain, after=began)
        if number is not None:
            return _read(root, name, number)
    while True:
        number = latest_version(root.store, folder) or 0
        if after is not None and number != after:
            raise _overtaken(root, name, after)
        if after is None and not number:
            number = manage(root, name, by=by).number
        before = _last_whole(root, name, number) if after is None else _read(root, name, number) if number else None
        # to promote what is promoted changes nothing
        previous = before and (before.previous if before.version == version else before.version)
        try:
            return _publish(
                root, name, number + 1, version=version, action="promote", previous=previous, by=by, reason=reason,
                forced=forced, retrain=retrain,
            )  # fmt: skip
        except AlreadyExistsError:
            if after is not None:
                raise _overtaken(root, name, after) from None


def rollback(
    root: Root, name: str, *, to: int | None = None, by: Mapping[str, Any], reason: str | None = None
) -> Promotion:
    """Let the name mean what it meant before; the files of versions are not touched.

    Parameters
    ----------
    to
        A version that the name meant at some time; by default the one promoted before the present one. So one rollback
        after the other goes further back.

    Raises
    ------
    UsageError
        If there is none to which it could go back, or the name never meant `to`.
    NotFoundError
        If that version was deleted.
    LockedError
        If somebody else promoted meanwhile.
    StorageError, BadDataError
        As `manage`.
    """
    entry = latest_promotion(root, name)
    version, previous = _unmanaged(root, name) if entry is None else (entry.version, entry.previous)
    target = previous if to is None else to
    history = f"`mr-ml models show {name}` has the history"
    if target is None:
        if version is None:
            # raises: there is none, or none is promoted
            read_version(root.store, root.layout.model(name), named_version(root, Reference(name)))
        raise UsageError(
            f"expected a version of {name} that was promoted before {name}@{version}; found none. {history}; any "
            f"version can be promoted: `mr-ml models promote {name}@N`"
        )
    if target == version:
        raise UsageError(f"expected another version than {name}@{target}, which {name} means already; {history}")
    read_version(root.store, root.layout.model(name), target)
    if entry is None:
        entry = manage(root, name, by=by)
        if entry.version != version:
            raise _overtaken(root, name, 0)
    before = _before_rollback_to(root, name, target, entry) if to is None else _when_it_meant(root, name, target)
    try:
        return _publish(
            root, name, entry.number + 1, version=target, action="rollback", previous=before, by=by, reason=reason
        )
    except AlreadyExistsError:
        raise _overtaken(root, name, entry.number) from None


def fence(root: Root, name: str, *, by: Mapping[str, Any]) -> Promotion:
    """Publish the state once more, so that nobody who saw an earlier entry can publish after it; raises as `manage`."""
    while True:
        now = manage(root, name, by=by)
        try:
            return _publish(
                root, name, now.number + 1, version=now.version, action="fence", previous=now.previous, by=by
            )
        except AlreadyExistsError:
            continue


def read_promotions(root: Root, name: str) -> tuple[tuple[Promotion, ...], tuple[str, ...]]:
    """Return the whole entries, oldest first, and a sentence for each that is damaged."""
    whole, damaged = [], []
    for number in list_versions(root.store, root.layout.promotions(name)):
        try:
            whole.append(_read(root, name, number))
        except BadDataError as error:
            damaged.append(str(error))
    return tuple(whole), tuple(damaged)


def _unmanaged(root: Root, name: str) -> tuple[int | None, int | None]:
    """Return what the name of a model that is not managed means, and what it meant before that."""
    previous, version = (None, None, *list_versions(root.store, root.layout.model(name)))[-2:]
    return version, previous


def _publish(root: Root, name: str, number: int, **fields: Any) -> Promotion:
    """Publish this very entry; AlreadyExistsError if it is there."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    entry = stored.check(Promotion, {"number": number, "at": now, **fields}, what="a promotion")
    publish_version_as(root.store, root.layout.promotions(name), entry.to_json(), number)
    return entry


def _read(root: Root, name: str, number: int) -> Promotion:
    path = join(root.layout.promotions(name), version_file(number))
    where = root.store.uri(path)
    remedy = (
        f"restore that file from a copy, and do not remove it: the latest entry says what {name} means. Or say what it "
        f"shall mean: `mr-ml models promote {name}@N`. {name}@N and {name}@latest can be used meanwhile"
    )
    document = decode_document(root.store.read(path), where=where, remedy=remedy)
    try:
        entry = stored.read(Promotion, document, where=where)
    except BadDataError as error:
        raise BadDataError(f"{error}; {remedy}") from None
    if entry.number != number:
        raise BadDataError(f"{where}: expected entry {number}, found a copy of entry {entry.number}; {remedy}")
    return entry


def _last_whole(root: Root, name: str, number: int) -> Promotion | None:
    """Return the last whole entry up to this one."""
    for k in range(number, 0, -1):
        with suppress(BadDataError, NotFoundError):
            return _read(root, name, k)
    return None


def _before_rollback_to(root: Root, name: str, target: int, entry: Promotion) -> int | None:
    """Return what the name meant before `target`, when `target` was what it meant before the state of an entry."""
    entries: dict[int, Promotion] = {entry.number: entry}

    def read(number: int) -> Promotion:
        if number not in entries:
            entries[number] = _read(root, name, number)
        return entries[number]

    # a damaged entry long ago is no reason to stay with a bad model
    with suppress(BadDataError, NotFoundError):
        start = _start_of_state(read, entry.number)
        return read(start - 1).previous if start > 1 else _unmanaged_before(root, name, target)
    return _when_it_meant(root, name, target)


def _start_of_state(read: Callable[[int], Promotion], number: int) -> int:
    """Return the number of the entry that first brought the state after an entry; 0 if it is older than the log."""
    while True:
        entry = read(number)
        while number > 1 and read(number - 1).version == entry.version:
            number -= 1
            entry = read(number)
        if entry.action != "rollback":
            return number
        # below what was undone; where `to` was given, it may have been undone itself before
        state, found, undone = (entry.version, entry.previous), 0, number - 1
        while not found and (undone := _start_of_state(read, undone) - 1) > 0:
            found = undone if _state(read(undone)) == state else 0
        if not found and read(number - 1).previous != entry.version:
            earlier = range(number - 1, 0, -1)
            found = next((k for k in earlier if read(k).action == "promote" and _state(read(k)) == state), 0)
        if not found:
            return 0
        number = found


def _state(entry: Promotion) -> tuple[int | None, int | None]:
    return entry.version, entry.previous


def _unmanaged_before(root: Root, name: str, version: int) -> int | None:
    """Return what the name of a model that is not managed meant before a version."""
    return max((n for n in list_versions(root.store, root.layout.model(name)) if n < version), default=None)


def _when_it_meant(root: Root, name: str, version: int) -> int | None:
    """Return what the name meant before it last meant this version; UsageError if it never did."""
    entries, _ = read_promotions(root, name)
    for entry in reversed(entries):
        if entry.version == version:
            return entry.previous
    # while the model was not managed its name meant one version after the other
    if entries and entries[0].action == "adopt" and version < (entries[0].version or 0):
        return _unmanaged_before(root, name, version)
    raise UsageError(
        f"expected a version that {name} has meant; found {name}@{version}, which was never promoted. "
        f"`mr-ml models promote {name}@{version}` does it"
    )


def _overtaken(root: Root, name: str, after: int) -> LockedError:
    """Make the error of who saw an entry that is no longer the latest."""
    where = root.store.uri(root.layout.promotions(name))
    number = latest_version(root.store, root.layout.promotions(name))
    by = "somebody else"
    with suppress(BadDataError, NotFoundError):
        if number is not None:
            latest = _read(root, name, number)
            by = f"{described(latest.by)} ({latest.action}, {latest.at})"
    return LockedError(
        f"expected in {where} no entry after {after}; found entry {number} by {by}. Another process said what {name} "
        f"means meanwhile, and this one has changed nothing: look at `mr-ml models show {name}`, and run this again if "
        "it is still needed"
    )
