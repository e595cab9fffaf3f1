"""The platform as people meet it: a real server, a real Chromium, real pages."""
