"""Passwords: hashed by argon2, checked in the same time whether or not the person exists."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from labeling_app.errors import Refused

SHORTEST, LONGEST = 10, 200


@cache
def hasher() -> PasswordHasher:
    """With the library's parameters, which follow RFC 9106."""
    return PasswordHasher()


def hash_password(password: str, name: str) -> str:
    """The hash to store.

    Raises:
        Refused: the password is too short, too long, or the person's name.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused(f"A password has {SHORTEST} to {LONGEST} characters.", remedy="choose a longer one.")
    if password.casefold().strip() == name.casefold():
        raise Refused("The password is the name.", remedy="choose another one.")
    return hasher().hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed. Without a hash the same work is done, for nothing."""
    try:
        hasher().verify(stored or _hash_of_nobody(), password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@cache
def _hash_of_nobody() -> str:
    return hasher().hash("a password that nobody has")
