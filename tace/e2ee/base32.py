"""Crockford's base32 with a checksum: text that people read aloud, type and paste.

The value and a checksum, bit after bit, most significant first, in characters of five bits. The
checksum is the first bits of H(label || value) and fills the last characters. Case does not
matter, spaces and hyphens are ignored, I and L are read as 1, O as 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from tace.ids import digest

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_VALUES |= {character.lower(): value for character, value in _VALUES.items()}
_VALUES |= {"I": 1, "i": 1, "L": 1, "l": 1, "O": 0, "o": 0}
_IGNORED = frozenset(" \t\r\n-\N{NO-BREAK SPACE}\N{HYPHEN}\N{EN DASH}")


@dataclass(frozen=True, slots=True)
class CheckedBase32:
    """One kind of text: how many bytes it holds and in how many characters.

    :param label: the domain label of the checksum, so that one kind is not taken for another.
    """

    label: bytes
    value_bytes: int
    characters: int

    @property
    def _check_bits(self) -> int:
        return 5 * self.characters - 8 * self.value_bytes

    def _check(self, value: bytes) -> int:
        return int.from_bytes(digest(self.label, value)) >> (256 - self._check_bits)

    def encode(self, value: bytes) -> str:
        """Upper case, without separators."""
        if len(value) != self.value_bytes:
            raise ValueError(f"the value has {self.value_bytes} bytes, not {len(value)}")
        bits = int.from_bytes(value) << self._check_bits | self._check(value)
        return "".join(
            ALPHABET[bits >> 5 * place & 31] for place in reversed(range(self.characters))
        )

    def decode(self, text: str) -> bytes:
        """:raises ValueError: says what is wrong, in words for the person who typed it."""
        bits = found = 0
        for character in text:
            if character in _IGNORED:
                continue
            value = _VALUES.get(character)
            if value is None:
                raise ValueError(f"{character!r} (character {found + 1}) is never part of it")
            found += 1
            bits = bits << 5 | value
            if found > self.characters:
                raise ValueError(f"it is too long: it has {self.characters} characters")
        if found < self.characters:
            raise ValueError(
                f"{self.characters - found} of {self.characters} characters are missing"
            )
        check = bits & (1 << self._check_bits) - 1
        decoded = (bits >> self._check_bits).to_bytes(self.value_bytes)
        if check != self._check(decoded):
            raise ValueError("a character is wrong, or two are swapped")
        return decoded
