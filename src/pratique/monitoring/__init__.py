"""Who is told what happened: the bus, and later metrics, health and alerts."""
