"""What every page shares: who acts, what they may, headers, errors, language and templates.

Read ``requests.py`` first: it is the way each request travels.
"""
