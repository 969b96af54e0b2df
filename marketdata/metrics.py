"""What the marketdata server counts."""

from prometheus_client import Counter, Gauge

subscriptions = Gauge("ordergate_marketdata_subscriptions", "Live streams.", ("kind",))
ticks_sent = Counter("ordergate_marketdata_ticks_sent", "Ticks handed to streams, one for each reader of each tick.")
conflated = Counter(
    "ordergate_marketdata_conflated", "Snapshots sent in place of changes that a reader missed.", ("kind",)
)
slow_consumers = Counter("ordergate_marketdata_slow_consumers", "Streams ended because their reader was too slow.")
events_applied = Counter("ordergate_marketdata_events_applied", "Events of the journal that the view has taken in.")
lag = Gauge("ordergate_marketdata_lag_events", "Events of the journal that the view does not show yet.")
feed_updates = Counter("ordergate_marketdata_feed_updates", "Reference prices that feeds have given.", ("feed",))
