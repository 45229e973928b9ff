"""Who may call, what, how much, and the record of it. `make_guard` puts it together from the settings."""
