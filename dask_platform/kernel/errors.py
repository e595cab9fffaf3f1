"""Named errors of the domain.

Services raise these; ``web/errors.py`` alone knows which status code each becomes, ``entry/cli.py``
alone which exit code. ``message`` is a translatable sentence in English that a student may read:
it says what is wrong and what to do next, and never carries data about anybody else.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dask_platform.kernel.messages import N_


class DaskError(Exception):
    """Base of every expected error.

    ``message`` is the English sentence (also the translation key, with ``%(name)s`` places) and
    ``params`` fills its places.
    """

    def __init__(self, message: str = "", /, **params: Any) -> None:
        super().__init__(message % params if params else message)
        self.message = message
        self.params = params


class NotVisible(DaskError):
    """The thing is not there, or the actor may not know that it is. The two look the same."""


class NotAllowed(DaskError):
    """The actor may see the thing but not do this to it *now*, and may know why."""


class NotAuthenticated(DaskError):
    """Nobody is logged in, or the session has ended."""


class SecondFactorNeeded(DaskError):
    """Logged in by password only, where a second factor is compulsory."""


class Invalid(DaskError):
    """What was sent does not make sense. ``field`` names the form field where there is one."""

    def __init__(self, message: str, /, field: str | None = None, **params: Any) -> None:
        super().__init__(message, **params)
        self.field = field


class TooLarge(Invalid):
    """A file, text or request over its limit; the message names the limit."""


class Conflict(DaskError):
    """Somebody else changed it first. Nothing was overwritten and nothing typed is lost."""


class Closed(DaskError):
    """Too late: the cut-off has passed, or the piece has been handed in already."""


class Throttled(DaskError):
    """Too many tries; ``retry_after`` is in seconds."""

    def __init__(self, message: str, /, retry_after: int, **params: Any) -> None:
        super().__init__(message, **params)
        self.retry_after = retry_after


class Unavailable(DaskError):
    """A part the platform needs (store, scanner, directory) does not answer. Try again later."""


class StorageUnavailable(Unavailable):
    """The file store does not answer or broke off."""


class FileMissing(DaskError):
    """No such file in the store."""


class FileCorrupt(DaskError):
    """The stored bytes are not those that were put there (size or SHA-256 differ)."""


class ScannerUnavailable(Unavailable):
    """The virus scanner does not answer."""


class ScanRefused(DaskError):
    """The scanner answers, but will not judge this file (too large, nested too deep)."""


class DirectoryUnavailable(Unavailable):
    """No directory server answers."""


class BadCredentials(DaskError):
    """Wrong name or password; which of the two is not said."""


class AccountRefused(DaskError):
    """The directory knows the account and refuses it. ``reason`` is for the operator's log only."""

    def __init__(self, reason: str, /) -> None:
        super().__init__("This account cannot log in. Speak to your school or to the operator.")
        self.reason = reason


class UpstreamError(DaskError):
    """A page from outside cannot be had. ``reason`` says exactly why, for the log only: it may name
    addresses and repeat what a stranger's server said."""

    sentence: ClassVar[str] = N_("This page cannot be fetched now.")

    def __init__(self, reason: str, /) -> None:
        super().__init__(self.sentence)
        self.reason = reason

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r})"


class UpstreamUnavailable(UpstreamError, Unavailable):
    """The site does not answer, or broke off."""

    sentence = N_("The site does not answer. Try again later.")


class UpstreamTimeout(UpstreamUnavailable):
    """The site was slower than the limits allow."""

    sentence = N_("The site takes too long to answer. Try again later.")


class UpstreamNameUnknown(UpstreamUnavailable):
    """The site's name leads to no address, or nobody says to which."""

    sentence = N_("The site cannot be found now. Try again later.")


class UpstreamAddressRefused(UpstreamError):
    """The site's name leads, also, to a place that the platform must not connect to."""

    sentence = N_("The site's address leads to a place that is not open. Tell a member of staff.")


class UpstreamCertificateRefused(UpstreamError):
    """Who answers cannot prove to be the site, or cannot encrypt well enough."""

    sentence = N_("The site could not prove who it is, so nothing was fetched.")


class UpstreamAnswerRefused(UpstreamError):
    """The answer breaks the rules of HTTP, or is packed in a way that is not taken."""

    sentence = N_("The site's answer could not be read safely, so it was not fetched.")


class UpstreamTooLarge(UpstreamError):
    """The answer is larger than its rule allows, or unpacks to far more than was sent."""

    sentence = N_("This page or file is larger than what is allowed from the site.")


class UpstreamStopped(UpstreamError):
    """The caller asked to stop in the middle."""

    sentence = N_("This has been stopped by the school.")


class CopyBroken(Invalid):
    """A copy of a site cannot be read, or holds what must not be in one."""


class UpstreamCopyMissing(UpstreamError):
    """The rule is shown from a copy, and there is none here."""

    sentence = N_("The school has no copy of this page yet.")


class UpstreamCopyNotReady(UpstreamUnavailable):
    """The rule's copy is being fetched from the store, or the store does not answer."""

    sentence = N_("The copy is being made ready. Try again in a minute.")


class ConfigurationError(DaskError):
    """Settings or a file of the installation are wrong. ``problems`` lists every one of them."""

    def __init__(self, problems: list[str], /) -> None:
        super().__init__("; ".join(problems).replace("%", "%%"))
        self.problems = problems
