"""uniaudio: understand, speak and edit speech with one continuous representation."""

__version__ = "0.1.0"
