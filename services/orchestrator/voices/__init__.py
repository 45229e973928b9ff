"""Voices that may be imitated: recordings with the consent of who speaks in them."""
