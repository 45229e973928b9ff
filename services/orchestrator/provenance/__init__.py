"""How audio was made: the watermark in it, the signed manifest beside it, and verifying both."""
