"""The metrics of the audit log; `runtime.metrics` has those of the calls."""

from prometheus_client import Counter, Gauge, Histogram

APPEND_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

lag = Gauge("ordergate_audit_lag_events", "Events of the journal that are not in the log yet.")
appended = Counter("ordergate_audit_appended_entries", "Entries appended since the start.")
size = Gauge("ordergate_audit_log_entries", "Entries in the log.")
checkpoint_size = Gauge("ordergate_audit_checkpoint_entries", "Entries that the newest checkpoint covers.")
checkpoint_age = Gauge("ordergate_audit_checkpoint_age_seconds", "Time since the newest checkpoint was signed.")
append_time = Histogram("ordergate_audit_append_seconds", "Time of one batch, all of it.", buckets=APPEND_SECONDS)
store_failures = Counter("ordergate_audit_store_failures", "Times that the database could not be reached.")
