"""The command line of ordergate: for people tables, for programs one JSON object per line."""
