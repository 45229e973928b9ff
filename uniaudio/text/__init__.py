"""Text made ready to be spoken: language detection, normalisation, sentences."""
