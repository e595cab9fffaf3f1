"""Every permission there is, in alphabetical order.

Who holds each, and over what, stands in the ``policy.py`` of the feature; ``security/policy.py``
is the engine. An endpoint names one of these with ``@requires``.
"""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    ACCOUNT_SELF = "account.self"
    ATTEMPT_READ = "attempt.read"
    ATTEMPT_WRITE = "attempt.write"
    AUDIT_READ = "audit.read"
    AUDIT_REVIEW = "audit.review"
    CLASS_ATTEND = "class.attend"
    CLASS_CREATE = "class.create"
    CLASS_TEACH = "class.teach"
    COURSE_CREATE = "course.create"
    COURSE_EDIT = "course.edit"
    COURSE_READ = "course.read"
    MARKING_WRITE = "marking.write"
    PEOPLE_MANAGE = "people.manage"
    PEOPLE_READ = "people.read"
    QUARANTINE_READ = "quarantine.read"
    ROOMS_MANAGE = "rooms.manage"
    SECOND_FACTOR_SELF = "second_factor.self"
    SESSIONS_END = "sessions.end"
    SITES_READ = "sites.read"
    SITES_RECORD = "sites.record"
    SITES_SUPERVISE = "sites.supervise"
    SITE_REQUEST_ANSWER = "site_request.answer"
    SITE_REQUEST_ASK = "site_request.ask"
    SITE_REQUEST_READ = "site_request.read"
    SITE_REQUEST_WITHDRAW = "site_request.withdraw"
    VISITS_READ = "visits.read"
    WHITELIST_APPROVE = "whitelist.approve"
    WHITELIST_PROPOSE = "whitelist.propose"
    WHITELIST_READ = "whitelist.read"
    WHITELIST_STOP = "whitelist.stop"
