"""Decisions without I/O: nothing in this folder awaits, sleeps, reads a clock or draws a random number by itself."""
