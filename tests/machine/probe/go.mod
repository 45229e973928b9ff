module uniaudio/tests/machine/probe

go 1.26.0
