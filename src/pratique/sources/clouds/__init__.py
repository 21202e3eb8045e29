"""Objects of clouds: listed exactly, landed in parallel, each in one version and whole, before one of them is read."""
