"""A small website on this machine, so that the demo shows approved sites without the internet.

``serve`` answers as any web server does, with a certificate of its own authority; ``rule.yaml``
opens it; ``pages/`` is what it says. The corner ``/krok`` tries what no page is allowed.
"""
