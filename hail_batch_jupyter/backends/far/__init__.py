"""Runs whose runner lives on another machine, behind ssh."""
