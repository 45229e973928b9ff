"""What any process of ours needs around its work: settings, status codes, a server, telemetry, clients. No torch."""
