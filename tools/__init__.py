"""What builds and checks the project; never part of it when it runs."""
