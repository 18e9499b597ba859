"""A server that behaves as the documented API: its state machine, and the thin shell that serves it over HTTP."""
