"""A home directory: one identity with its device, its outbox and its history (mode 0700).

``home.db`` (0600) holds everything. Several ``tace`` processes may use one home at the same time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tace.client.errors import HomeError
from tace.client.own import MAX_NAME, OwnIdentity, establish, load
from tace.client.showing import FileLock, NoLock, ShowingLock
from tace.client.sqlite import HomeDatabase
from tace.client.vault import (
    DEFAULT_COST,
    PassphraseCost,
    RandomBytes,
    Vault,
    needs_passphrase,
    open_vault,
)
from tace.e2ee.recovery import RecoveryCode

DATABASE = "home.db"
_LOCK = "showing.lock"
_HOME_KEY = "home_key"
AskPassphrase = Callable[[], str]
Fill = Callable[[HomeDatabase, OwnIdentity], None]


class Home:
    """An opened home. To be closed when done.

    :ivar database: everything it keeps.
    :ivar own: its identity and device.
    :ivar showing_lock: held by the one program that is showing messages.
    """

    def __init__(self, database: HomeDatabase, own: OwnIdentity, showing_lock: ShowingLock) -> None:
        self.database = database
        self.own = own
        self.showing_lock = showing_lock

    @classmethod
    def create(
        cls,
        directory: Path,
        code: RecoveryCode,
        *,
        name: str = "",
        passphrase: str = "",
        random_bytes: RandomBytes,
        cost: PassphraseCost = DEFAULT_COST,
        fill: Fill | None = None,
    ) -> Home:
        """Make one for the identity behind ``code``, with a new device.

        :param passphrase: seals every secret in it; empty for none.
        :param fill: puts into it what it holds from its first moment on.
        :raises HomeError: there is one already, or the directory cannot be used.
        """
        if len(name) > MAX_NAME:
            raise HomeError(f"a name has at most {MAX_NAME} characters")
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
            # Made here and exclusively, so that it is private from its first byte on and two
            # commands that start at once cannot both make a home.
            os.close(os.open(directory / DATABASE, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            raise HomeError(f"there is an identity in {directory} already") from None
        except OSError as error:
            raise HomeError(f"the home {directory} cannot be made: {error.strerror}") from None
        database = HomeDatabase.open(directory / DATABASE)
        lock = FileLock(directory / _LOCK)
        try:
            return cls._furnish(database, lock, code, name, passphrase, random_bytes, cost, fill)
        except BaseException:
            # Half a home would keep its owner from making a whole one.
            database.close()
            for made in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
                (directory / made).unlink(missing_ok=True)
            raise

    @classmethod
    def in_memory(cls, code: RecoveryCode, *, name: str = "", random_bytes: RandomBytes) -> Home:
        """One that is gone with the process: for simulations and load tests."""
        database = HomeDatabase.open(":memory:")
        return cls._furnish(database, NoLock(), code, name, "", random_bytes, DEFAULT_COST)

    @classmethod
    def _furnish(
        cls,
        database: HomeDatabase,
        lock: ShowingLock,
        code: RecoveryCode,
        name: str,
        passphrase: str,
        random_bytes: RandomBytes,
        cost: PassphraseCost,
        fill: Fill | None = None,
    ) -> Home:
        vault = Vault.make(random_bytes)
        form = vault.key_form(passphrase, cost)
        database.unlock(vault)
        with database.transaction():
            database.set_setting(_HOME_KEY, form)
            own = establish(database, code, name, random_bytes)
            if fill is not None:
                fill(database, own)
        return cls(database, own, lock)

    @classmethod
    def open(
        cls, directory: Path, *, ask_passphrase: AskPassphrase, random_bytes: RandomBytes
    ) -> Home:
        """Open the one in ``directory``.

        :param ask_passphrase: asked once where the home is sealed; empty means that there is
            nobody to ask.
        :raises HomeSealed: no passphrase, or a wrong one.
        :raises HomeError: there is none, or it cannot be used.
        """
        path = directory / DATABASE
        if not path.is_file():
            raise HomeError(
                f"there is no identity in {directory}: make one with `tace identity new`"
            )
        database = HomeDatabase.open(path)
        try:
            form = database.setting(_HOME_KEY)
            if form is None:
                raise HomeError(
                    f"the home {directory} was never finished: remove it and start anew"
                )
            passphrase = ask_passphrase() if needs_passphrase(form) else ""
            database.unlock(open_vault(form, passphrase, random_bytes))
            return cls(database, load(database), FileLock(directory / _LOCK))
        except HomeError:
            database.close()
            raise

    def close(self) -> None:
        self.database.close()
