"""Writing data sets in layouts that the sources read."""
