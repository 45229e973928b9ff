"""Losses and discriminators: what only training needs."""
