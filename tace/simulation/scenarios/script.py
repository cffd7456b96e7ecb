"""Scripts: small files that say what happens, with the recorded result below.

::

    # Four of twelve are killed and return.
    set ring.replicas 3
    ring 12
    people 6 away 3
    write 30
    kill 4 wipe
    expect ideal within 30
    => sent 30 stored 30 delivered 30

A line is a comment, a setting of the world (``seed``, ``set``, ``latency``; before all commands), a
command of :mod:`tace.simulation.scenarios.commands`, or, at the end, a recorded result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

from tace.config import setting_from_text
from tace.errors import SettingsError, TaceError
from tace.simulation.latency import lognormal_latency, zoned_latency, zones_of_hosts
from tace.simulation.network import NEARBY, Latency
from tace.simulation.scenarios import commands as c
from tace.simulation.scenarios.stage import APART_SECONDS, ORDER_SECONDS

MAX_NODES = 10_000
MAX_LINES = 1000
ZONE_SIGMA = 0.25
RESULT = "=>"
_NODE = re.compile(r"n\d{2,5}")


class ScriptError(TaceError):
    """A line of a script cannot be understood.

    :ivar line: its number, from 1.
    """

    code = "script"

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Script:
    """What is to happen.

    :ivar seed: from a ``seed`` line; 1 where there is none.
    :ivar recorded: the results as they stand below it, a line each, without the arrow.
    """

    seed: int
    settings: Mapping[str, object]
    latency: Latency
    commands: tuple[c.Command, ...]
    recorded: tuple[str, ...]


class _Words:
    """The words of one line, taken from the left."""

    def __init__(self, text: str) -> None:
        self._left = text.split()

    def next(self, what: str) -> str:
        if not self._left:
            raise ValueError(f"{what} is missing")
        return self._left.pop(0)

    def take(self, word: str) -> bool:
        """Is this word next? Then it is taken."""
        if self._left and self._left[0] == word:
            self._left.pop(0)
            return True
        return False

    def must(self, word: str) -> None:
        found = self.next(f"'{word}'")
        if found != word:
            raise ValueError(f"'{word}' is wanted, and not '{found}'")

    def end(self) -> None:
        if self._left:
            raise ValueError(f"'{self._left[0]}' is too much")

    def count(self, what: str, least: int = 1, most: int = MAX_NODES) -> int:
        text = self.next(what)
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"{what} is a number from {least} to {most}, and not '{text}'")
        return int(text)

    def number(self, what: str, least: float = 0.0, ending: str = "") -> float:
        text = self.next(what)
        try:
            number = float(text.removesuffix(ending))
        except ValueError:
            number = float("nan")
        if not isfinite(number) or number < least or not text.endswith(ending):
            raise ValueError(f"{what} is a number, like 2{ending}, and not '{text}'")
        return number

    def node(self) -> str:
        text = self.next("a node")
        if not _NODE.fullmatch(text):
            raise ValueError(f"a node has a name like n03, and not '{text}'")
        return text

    def who(self) -> c.Who:
        adjacent = self.take("adjacent")
        if self.take("half"):
            return c.Who(share=0.5, adjacent=adjacent)
        if not adjacent and self.take("all"):
            return c.Who(share=1.0)
        if self._left and (adjacent or self._left[0].isdecimal()):
            return c.Who(count=self.count("how many"), adjacent=adjacent)
        return c.Who(name=self.node())


def _ring(words: _Words) -> c.Command:
    count = words.count("how many nodes")
    return c.Ring(count, words.number("how far apart") if words.take("apart") else APART_SECONDS)


def _people(words: _Words) -> c.Command:
    count = words.count("how many people", least=2)
    away = words.count("how many are away", least=0) if words.take("away") else 0
    if away > count:
        raise ValueError(f"of {count} people, {away} cannot be away")
    return c.People(count, away)


def _kill(words: _Words) -> c.Command:
    who = words.who()
    return c.Kill(who, power=words.take("power"), wipe=words.take("wipe"))


def _leave(words: _Words) -> c.Command:
    who = words.who()
    words.must("within")
    return c.Leave(who, words.number("how soon"))


def _stall(words: _Words) -> c.Command:
    who = words.who()
    words.must("for")
    return c.Stall(who, words.number("how long"))


def _skew(words: _Words) -> c.Command:
    who = words.who()
    words.must("by")
    return c.Skew(who, words.number("how far", least=-86_400.0))


def _loss(words: _Words) -> c.Command:
    percent = words.number("how much", ending="%")
    if percent > 50:
        raise ValueError("at most 50% of all packets may be lost")
    return c.Loss(percent / 100)


def _heal(words: _Words) -> c.Command:
    return c.Heal(words.number("how soon") if words.take("order") else ORDER_SECONDS)


def _expect(words: _Words) -> c.Command:
    what = words.next("what is expected")
    match what:
        case "ideal" | "copies":
            words.must("within")
            seconds = words.number("how soon")
            return c.ExpectIdeal(seconds) if what == "ideal" else c.ExpectCopies(seconds)
        case "members":
            return c.ExpectMembers(words.count("how many", least=0))
        case "no":
            words.must("loss")
            return c.ExpectNoLoss()
        case "belongings":
            return c.ExpectBelongings()
    raise ValueError(
        f"one can expect ideal, copies, members, belongings or no loss, and not '{what}'"
    )


VERBS: dict[str, Callable[[_Words], c.Command]] = {
    "ring": _ring,
    "storm": lambda words: c.Storm(words.count("how many nodes")),
    "people": _people,
    "load": lambda words: c.Load(words.number("how many", ending="/s")),
    "write": lambda words: c.Write(words.count("how many", most=100_000)),
    "records": lambda words: c.Keep(records=words.count("how many records")),
    "files": lambda words: c.Keep(files=words.count("how many chunks")),
    "renew": lambda words: c.Keep(renew=True),
    "run": lambda words: c.Run(words.number("how long")),
    "kill": _kill,
    "stop": lambda words: c.Stop(words.who()),
    "leave": _leave,
    "start": lambda words: c.Start(words.who()),
    "stall": _stall,
    "skew": _skew,
    "loss": _loss,
    "partition": lambda words: c.Partition(words.count("how many parts", least=2, most=10)),
    "cut": lambda words: c.Cut(words.node(), words.node()),
    "heal": _heal,
    "reset": lambda words: c.Reset(words.who()),
    "return": lambda words: c.Return(),
    "disorder": lambda words: c.Disorder(words.number("how long")),
    "expect": _expect,
}


def parse(text: str) -> Script:
    """:raises ScriptError: the first line that cannot be understood, with its number."""
    seed = 1
    settings: dict[str, object] = {}
    latency = NEARBY
    commands: list[c.Command] = []
    recorded: list[str] = []
    people_away = False
    for number, line in enumerate(text.splitlines(), start=1):
        if number > MAX_LINES:
            raise ScriptError(number, f"a script has at most {MAX_LINES} lines")
        if line.startswith(RESULT):
            recorded.append(line.removeprefix(RESULT).strip())
            continue
        words = _Words(line.partition("#")[0])
        try:
            verb = words.next("a command") if line.partition("#")[0].strip() else ""
            if not verb:
                continue
            if recorded:
                raise ValueError("what was recorded stands at the end")
            if verb in ("seed", "set", "latency") and commands:
                raise ValueError(f"'{verb}' stands before all commands")
            if verb == "seed":
                seed = words.count("the seed", least=0, most=2**31)
            elif verb == "set":
                name = words.next("a setting")
                settings[name] = setting_from_text(name, words.next("its value"))
            elif verb == "latency":
                latency = _latency(words)
            elif verb in VERBS:
                command = VERBS[verb](words)
                _in_order(command, commands, people_away)
                people_away = people_away or (isinstance(command, c.People) and command.away > 0)
                commands.append(command)
            else:
                raise ValueError(f"'{verb}' is no command; there are {', '.join(VERBS)}")
            words.end()
        except (ValueError, SettingsError) as error:
            raise ScriptError(number, str(error)) from error
    if not commands:
        raise ScriptError(max(1, len(text.splitlines())), "nothing happens in this script")
    return Script(seed, settings, latency, tuple(commands), tuple(recorded))


def _in_order(command: c.Command, before: list[c.Command], people_away: bool) -> None:
    """:raises ValueError: it needs something that is not there yet."""
    if not isinstance(command, c.Ring | c.People | c.Storm) and not any(
        isinstance(earlier, c.Ring | c.Storm) for earlier in before
    ):
        raise ValueError("there are no nodes yet: begin with 'ring 10'")
    if isinstance(command, c.Load) and not any(isinstance(b, c.People) for b in before):
        raise ValueError("there is nobody yet who could write: 'people 4'")
    if isinstance(command, c.Write) and not people_away:
        raise ValueError("nobody is away to whom one could write: 'people 4 away 2'")


def _latency(words: _Words) -> Latency:
    """``latency 0.02 0.5 [zones 3 0.08]``: median and sigma; the median between zones."""
    within = lognormal_latency(words.number("the median", least=1e-6), words.number("the sigma"))
    if not words.take("zones"):
        return within
    zones = words.count("how many zones", least=2, most=100)
    between = lognormal_latency(words.number("the median between zones", least=1e-6), ZONE_SIGMA)
    return zoned_latency(zones_of_hosts(zones), within, between)
