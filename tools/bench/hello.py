"""The yardstick: the smallest Flask application, with nothing of ours in it."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.route("/")
def hello() -> str:
    return "Hello"
