"""Tests of people, rooms and log-in."""
