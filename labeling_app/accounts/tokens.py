"""Secrets that are handed out once, of which only the hash is kept: who reads the database can't use them."""

import hashlib
import secrets


def new_token() -> str:
    """256 random bits, to be put into a link or a cookie."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What is stored. A random token needs no slow hash: it can't be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()
