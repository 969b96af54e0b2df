"""What every server needs and none owns: settings, logs, metrics, authorization, errors, serving."""
