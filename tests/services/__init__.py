"""Real servers for tests: PostgreSQL, SeaweedFS, clamd, slapd.

How it hangs together:

- ``plugin`` (a pytest plugin) starts one *host* process per pytest run and offers the fixture
  ``services``; with ``-n`` the workers reach the same host through a socket in the run's folder.
- ``host`` owns every server. It starts one when first asked for, hands its connection facts to
  everyone who asks, and ends them all when the pytest process that started it is gone, however
  that went: normally, by Ctrl-C or by SIGKILL.
- ``base`` has :class:`~tests.services.base.Service`, which each server subclasses.
- ``client`` is what a test process says to the host.

Use in a test::

    def test_x(services):
        facts = services.shared(Clamd)                  # one for the whole run
        with services.private(Clamd, port=5) as facts:  # one of your own, to kill as you like
            os.kill(facts["pid"], signal.SIGKILL)
"""
