"""What each kind of event is called on the page."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from dask_platform.features.audit.kinds import EventKind

WORDS: dict[EventKind, LazyString] = {
    EventKind.ATTEMPT_FILE_ADDED: _l("Added a file to a draft"),
    EventKind.ATTEMPT_FILE_REMOVED: _l("Removed a file from a draft"),
    EventKind.ATTEMPT_HANDED_IN: _l("Handed in work"),
    EventKind.ATTEMPT_READ: _l("Opened a student's work"),
    EventKind.ATTEMPT_SAVED: _l("Saved a draft"),
    EventKind.AUDIT_EXPORTED: _l("Exported the log"),
    EventKind.AUDIT_READ: _l("Read the log"),
    EventKind.AUDIT_WEEK_SIGNED: _l("Signed a week as reviewed"),
    EventKind.BACKUP_MADE: _l("Made a backup"),
    EventKind.BACKUP_RESTORED: _l("Restored a backup"),
    EventKind.CLASS_CREATED: _l("Made a class"),
    EventKind.CLASS_DEADLINE_SET: _l("Set a deadline"),
    EventKind.CLASS_ENDED: _l("Ended a class"),
    EventKind.CLASS_ENROLLED: _l("Enrolled a student"),
    EventKind.CLASS_LIST_READ: _l("Opened a class list"),
    EventKind.CLASS_REOPENED: _l("Opened a class again"),
    EventKind.CLASS_TEACHER_ADDED: _l("Added a teacher to a class"),
    EventKind.CLASS_TEACHER_REMOVED: _l("Took a teacher out of a class"),
    EventKind.CLASS_UNENROLLED: _l("Took a student out of a class"),
    EventKind.CONTENT_LOADED: _l("Loaded courses from files"),
    EventKind.COPY_ADDED: _l("Added a copy of a site"),
    EventKind.COPY_REMOVED: _l("Removed a copy of a site"),
    EventKind.COURSE_CHANGED: _l("Changed a course"),
    EventKind.COURSE_CREATED: _l("Made a course"),
    EventKind.FILE_DOWNLOADED: _l("Downloaded a student's file"),
    EventKind.FILE_INFECTED: _l("Stopped a file with a virus"),
    EventKind.FILE_REFUSED: _l("Stopped a file that could not be checked"),
    EventKind.FILE_SCANNED: _l("Checked a file for viruses"),
    EventKind.LOGIN_ENDED_OTHER: _l("Ended an older session by logging in again"),
    EventKind.LOGIN_FAILED: _l("Log-in failed"),
    EventKind.LOGIN_REFUSED_ROOM: _l("Log-in refused: not in a classroom"),
    EventKind.LOGIN_SUCCEEDED: _l("Logged in"),
    EventKind.LOGIN_THROTTLED: _l("Log-in stopped: too many tries"),
    EventKind.LOGOUT: _l("Logged out"),
    EventKind.MARKING_RETURNED: _l("Returned marked work"),
    EventKind.MARKING_SAVED: _l("Saved a marking"),
    EventKind.PASSWORD_CHANGED: _l("Changed the password"),
    EventKind.PASSWORD_RESET: _l("Gave a person a new password"),
    EventKind.PERSON_CHANGED: _l("Changed a person"),
    EventKind.PERSON_CREATED: _l("Added a person"),
    EventKind.PERSON_DEACTIVATED: _l("Closed an account"),
    EventKind.PERSON_LIST_READ: _l("Opened the list of people"),
    EventKind.PERSON_PLACED: _l("Placed a student at a unit"),
    EventKind.QUARANTINE_READ: _l("Opened the list of stopped files"),
    EventKind.RECORDING_ENDED: _l("Ended a recording of a site"),
    EventKind.RECORDING_PROPOSED: _l("Drafted a rule from a recording"),
    EventKind.RECORDING_STARTED: _l("Started to record a site"),
    EventKind.RECORDING_THROWN_AWAY: _l("Threw away a recording of a site"),
    EventKind.ROLE_ENDED: _l("Ended a role"),
    EventKind.ROLE_GRANTED: _l("Gave a role"),
    EventKind.ROOM_CHANGED: _l("Changed a room"),
    EventKind.SECOND_FACTOR_ADDED: _l("Added a second factor"),
    EventKind.SECOND_FACTOR_FAILED: _l("Second factor failed"),
    EventKind.SECOND_FACTOR_PASSED: _l("Second factor confirmed"),
    EventKind.SECOND_FACTOR_RECOVERY_USED: _l("Used a recovery code"),
    EventKind.SECOND_FACTOR_REMOVED: _l("Removed a second factor"),
    EventKind.SESSION_ENDED_BY_STAFF: _l("Ended a student's session"),
    EventKind.SESSION_LEFT_ROOM: _l("Session used from another place"),
    EventKind.SITE_CLOSED: _l("Closed a supervised site for a room"),
    EventKind.SITE_OPENED: _l("Opened a supervised site for a room"),
    EventKind.SITE_REQUEST_ANSWERED: _l("Answered a wish for a page"),
    EventKind.SITE_REQUEST_MADE: _l("Asked for a page"),
    EventKind.SITE_REQUEST_READ: _l("Read what students ask for"),
    EventKind.SITE_REQUEST_WITHDRAWN: _l("Took back a wish for a page"),
    EventKind.STORE_RECONCILED: _l("Compared files with the database"),
    EventKind.UNIT_ADDED: _l("Added a unit"),
    EventKind.VISITS_READ: _l("Read what was opened outside"),
    EventKind.WHITELIST_APPROVED: _l("Approved a change of the whitelist"),
    EventKind.WHITELIST_EXPIRING: _l("A rule of the whitelist soon runs out"),
    EventKind.WHITELIST_LOADED: _l("Loaded whitelists from files"),
    EventKind.WHITELIST_PROPOSED: _l("Proposed a change of the whitelist"),
    EventKind.WHITELIST_REFUSED: _l("Refused a change of the whitelist"),
    EventKind.WHITELIST_REOPENED: _l("Opened again what was stopped"),
    EventKind.WHITELIST_REOPEN_ASKED: _l("Asked to open again what is stopped"),
    EventKind.WHITELIST_REOPEN_DECLINED: _l("Said no to opening again"),
    EventKind.WHITELIST_STOPPED: _l("Stopped access to sites"),
    EventKind.WHITELIST_WITHDRAWN: _l("Took back a proposal for the whitelist"),
}


def word(kind: str) -> LazyString | str:
    """The words for a kind; one that no longer exists is shown as it was written."""
    try:
        return WORDS[EventKind(kind)]
    except (KeyError, ValueError):
        return kind
