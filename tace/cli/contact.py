"""``tace contact``: whom this home knows, by what name, and how far they are trusted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tace.cli.files import read_file, write_file
from tace.cli.options import home_option, json_option, open_home
from tace.cli.output import print_json, printable
from tace.client.contacts import Contacts
from tace.client.contacts_file import MAX_FILE_BYTES, read_contacts, write_contacts
from tace.client.errors import UnknownRecipient
from tace.client.home import Home
from tace.client.naming import identity_of, key_text
from tace.client.rows import Peer, Standing
from tace.client.strangers import Policy, policy_of, set_policy
from tace.e2ee.link import BadLink, ContactLink
from tace.e2ee.safety import SafetyNumber

_PERSON = "One JSON object with public_key, link, name, own_name, standing, verified and more."
_DIGITS = 60


@click.group("contact")
def group() -> None:
    """Add, name, verify, accept and block people.

    CONTACT is a name, a public key or a link. Nobody needs to be added before you write to them:
    writing to somebody makes them a contact.
    """


class _People:
    """The people of an opened home, by what the user typed."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.contacts = Contacts(home.database, home.own.public)

    def identity(self, text: str) -> bytes:
        return identity_of(self.home.database, text)

    def json(self, peer: Peer) -> dict[str, Any]:
        waiting = self.home.database.waiting_of(peer.identity).messages
        return {
            "public_key": key_text(peer.identity),
            "link": ContactLink(peer.identity).text,
            "name": peer.called,
            "own_name": peer.name,
            "standing": peer.standing.value,
            "verified": peer.verified,
            "unlisted_device": self.contacts.has_unlisted_device(peer.identity),
            "waiting": waiting,
        }

    def line(self, peer: Peer) -> str:
        """Name, key, and what is to be known of them."""
        marks = []
        if peer.standing is not Standing.CONTACT:
            marks.append(peer.standing.value)
        marks.append("verified" if peer.verified else "not verified")
        if peer.alias and peer.name and peer.alias != peer.name:
            marks.append(f"calls themselves {printable(peer.name)}")
        if self.contacts.has_unlisted_device(peer.identity):
            marks.append("wrote from a device that is not on their list")
        name = printable(peer.called) or "(no name)"
        return f"{name:<20} {key_text(peer.identity)}  {', '.join(marks)}"


@contextmanager
def _people(directory: Path, hint: str = "CONTACT") -> Iterator[_People]:
    opened = open_home(directory)
    try:
        yield _People(opened)
    except UnknownRecipient as error:
        raise click.BadParameter(str(error), param_hint=hint) from None
    finally:
        opened.close()


@group.command("add")
@home_option
@click.option("--name", default="", metavar="NAME", help="What you call them.")
@json_option(_PERSON)
@click.argument("link")
def add(home: Path, name: str, as_json: bool, link: str) -> None:
    """Add the person behind LINK (or a contact code).

    Somebody who is known already keeps their name unless --name gives another one; a stranger who
    wrote is accepted.
    """
    try:
        identity = ContactLink.parse(link).identity
    except BadLink as error:
        raise click.BadParameter(str(error), param_hint="LINK") from None
    with _people(home, "LINK") as people:
        peer = people.contacts.add(identity, name)
        if as_json:
            print_json(people.json(peer))
            return
        click.echo(people.line(peer))
        if not peer.verified:
            click.echo("compare safety numbers with `tace contact verify` when you meet", err=True)


@group.command("list")
@home_option
@json_option("One JSON object a line, as of `tace contact add`.")
def list_all(home: Path, as_json: bool) -> None:
    """Show everybody: contacts, strangers who wrote, people who were blocked."""
    with _people(home) as people:
        for peer in people.contacts.all():
            if as_json:
                print_json(people.json(peer))
            else:
                click.echo(people.line(peer))


@group.command("requests")
@home_option
@click.option(
    "--policy",
    type=click.Choice([policy.value for policy in Policy]),
    help="What this home does with strangers' messages from now on. show: receiving is accepting,"
    " they are shown and receipted at once. ask: they wait, and nothing is sent to the stranger,"
    " until you accept.",
)
@json_option("One JSON object a line, as of `tace contact add`.")
def requests(home: Path, policy: str | None, as_json: bool) -> None:
    """Show strangers who wrote, and how many of their messages wait.

    Accept them with `tace contact accept`, or block them. Their names are what they call
    themselves: anybody can take any name.
    """
    with _people(home) as people:
        database = people.home.database
        if policy is not None:
            set_policy(database, Policy(policy))
            click.echo(f"strangers' messages: {policy_of(database)}", err=True)
        for peer in people.contacts.all():
            if peer.standing is not Standing.REQUEST:
                continue
            if as_json:
                print_json(people.json(peer))
                continue
            waiting = database.waiting_of(peer.identity).messages
            click.echo(f"{people.line(peer)}, {waiting} waiting")
            for other in people.contacts.namesakes(peer):
                click.echo(
                    f"  this is NOT your contact {printable(other.called)}"
                    f" ({key_text(other.identity)}): it is another key",
                    err=True,
                )


def _each(
    home: Path, contacts: Sequence[str], done: str, work: Callable[[Contacts, bytes], Peer]
) -> None:
    with _people(home) as people:
        # All are found before anything is done to one of them.
        for identity in [people.identity(text) for text in contacts]:
            peer = work(people.contacts, identity)
            name = printable(peer.called) or key_text(peer.identity)
            click.echo(f"{done} {name}")


@group.command("accept")
@home_option
@click.option("--all", "everybody", is_flag=True, help="Everybody who waits.")
@click.argument("contacts", nargs=-1, metavar="CONTACT...")
def accept(home: Path, everybody: bool, contacts: Sequence[str]) -> None:
    """Let strangers in: the next `tace receive` shows what they wrote and confirms it."""
    if everybody == bool(contacts):
        raise click.UsageError("say whom to accept, or --all")
    if everybody:
        with _people(home) as people:
            contacts = [
                key_text(peer.identity)
                for peer in people.contacts.all()
                if peer.standing is Standing.REQUEST
            ]
    _each(home, contacts, "accepted", Contacts.accept)


@group.command("block")
@home_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("contacts", nargs=-1, required=True, metavar="CONTACT...")
def block(home: Path, yes: bool, contacts: Sequence[str]) -> None:
    """Drop whatever they send from now on, and let go of what was on its way to them.

    They are not told. What they wrote and you have not seen is lost; the history stays.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(f"Block {', '.join(map(printable, contacts))}?", abort=True, err=True)
    _each(home, contacts, "blocked", Contacts.block)


@group.command("unblock")
@home_option
@click.argument("contacts", nargs=-1, required=True, metavar="CONTACT...")
def unblock(home: Path, contacts: Sequence[str]) -> None:
    """Let somebody in again. What they sent meanwhile is lost unless their device sends it anew."""
    _each(home, contacts, "unblocked", Contacts.unblock)


@group.command("rename")
@home_option
@click.argument("contact")
@click.argument("name")
def rename(home: Path, contact: str, name: str) -> None:
    """Call CONTACT by NAME here; an empty NAME takes what they call themselves."""
    _each(home, [contact], "renamed", lambda people, identity: people.rename(identity, name))


@group.command("verify")
@home_option
@click.option("--qr", is_flag=True, help="Show the number as a QR code for their camera as well.")
@click.option("--undo", is_flag=True, help="They are not verified any more.")
@json_option("One JSON object with public_key, name, safety_number and verified.")
@click.argument("contact")
@click.argument("number", nargs=-1)
def verify(
    home: Path, qr: bool, undo: bool, as_json: bool, contact: str, number: Sequence[str]
) -> None:
    """Compare the safety number with CONTACT: 60 digits that both of you see if nobody sits
    between you.

    Read it to each other over something else than this network. NUMBER is what they read to you,
    spaces or not, or - for standard input; without it the number is shown and, on a terminal, you
    are asked whether theirs is the same. Only then are they verified. Exit status 1: the numbers
    differ.
    """
    with _people(home) as people:
        identity = people.identity(contact)
        peer = people.contacts.known(identity)
        safety = people.contacts.safety_number(identity)
        if undo:
            peer = people.contacts.set_verified(identity, False)
        elif number:
            _compare(safety, number)
            peer = people.contacts.set_verified(identity, True)
        elif not as_json:
            _show_number(safety, qr=qr)
            if sys.stdin.isatty() and not peer.verified:
                name = printable(peer.called) or "they"
                if click.confirm(f"Does {name} see the same number?", err=True):
                    peer = people.contacts.set_verified(identity, True)
        if as_json:
            name = peer.called
            told = {"public_key": key_text(identity), "name": name}
            print_json(told | {"safety_number": safety.digits, "verified": peer.verified})
        else:
            click.echo("verified" if peer.verified else "not verified")


def _show_number(safety: SafetyNumber, *, qr: bool) -> None:
    groups = safety.digits.split()
    for at in range(0, len(groups), 4):
        click.echo(" ".join(groups[at : at + 4]))
    if qr:
        # Only here: not every command pays for it.
        from tace.cli.qr import qr_text

        click.echo(qr_text(safety.qr, colours=sys.stdout.isatty()))


def _compare(safety: SafetyNumber, number: Sequence[str]) -> None:
    typed = sys.stdin.readline() if tuple(number) == ("-",) else "".join(number)
    digits = "".join(typed.split())
    if not digits.isdecimal() or not digits.isascii() or len(digits) != _DIGITS:
        raise click.BadParameter(f"a safety number has {_DIGITS} digits", param_hint="NUMBER")
    if digits != "".join(safety.digits.split()):
        raise click.ClickException(
            "the numbers DIFFER. Was it read to you without a mistake? Then the link you have is"
            " not theirs, or somebody sits between you: do not trust this contact"
        )


@group.command("export")
@home_option
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def export(home: Path, force: bool, file: Path) -> None:
    """Write all contacts to FILE (- for standard output) as JSON: codes and names, no secrets.

    The web client reads and writes the same file. It tells whom you know: keep it to yourself.
    """
    with _people(home) as people:
        text = write_contacts(people.contacts.all())
    write_file(file, text.encode(), force=force)


@group.command("import")
@home_option
@json_option("One JSON object with added and known.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def import_(home: Path, as_json: bool, file: Path) -> None:
    """Add the contacts of FILE (- for standard input) that are not known here.

    Whoever is known stays as they are. Nobody is verified by a file: only who compared the safety
    number knows.
    """
    cards = read_contacts(read_file(file, MAX_FILE_BYTES))
    with _people(home) as people:
        added = people.contacts.take_in(cards)
    if as_json:
        print_json({"added": added, "known": len(cards) - added})
    else:
        click.echo(f"{added} added, {len(cards) - added} known already")
