-- migrate:up

-- The history of orders for queries and reports. The `_state` and `fill` tables
-- hold the venue's own integers (ticks, lots, 10^-6 of money), as they came; the
-- views turn them into decimals with the terms of the instrument, exactly.
CREATE SCHEMA history;

CREATE TABLE history.instrument_terms (
    symbol text PRIMARY KEY,
    listed_seq bigint NOT NULL,
    asset_class text NOT NULL,
    currency text NOT NULL,
    base_currency text,
    tick_size_nano bigint NOT NULL CHECK (tick_size_nano > 0),
    lot_size_nano bigint NOT NULL CHECK (lot_size_nano > 0),
    multiplier bigint NOT NULL CHECK (multiplier > 0),
    expiry_date integer,
    strike_nano bigint,
    option_right text,
    description text
);

CREATE TABLE history.accounts (
    account text PRIMARY KEY,
    opened_seq bigint NOT NULL,
    opened_time_ns bigint NOT NULL
);

-- One row an order, as after its last event. Room on each page lets a fill
-- update its order in place, without touching an index.
CREATE TABLE history.order_state (
    order_id bigint PRIMARY KEY,
    last_seq bigint NOT NULL,
    accepted_time_ns bigint NOT NULL,
    last_time_ns bigint NOT NULL,
    qty_lots bigint NOT NULL,
    price_ticks bigint,
    cum_qty_lots bigint NOT NULL,
    leaves_qty_lots bigint NOT NULL,
    cum_value_ticks_lots numeric NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    cl_ord_id text NOT NULL,
    side text NOT NULL,
    ord_type text NOT NULL,
    time_in_force text NOT NULL,
    ord_status text NOT NULL,
    reason text,
    decision_maker text,
    strategy_id text
) WITH (fillfactor = 70);
CREATE INDEX order_state_account ON history.order_state (account, order_id);
CREATE INDEX order_state_symbol ON history.order_state (symbol, order_id);
CREATE INDEX order_state_cl_ord_id ON history.order_state (cl_ord_id);

-- One row for each side of a trade.
CREATE TABLE history.fill (
    seq bigint PRIMARY KEY,
    trade_id bigint NOT NULL,
    order_id bigint NOT NULL,
    contra_order_id bigint NOT NULL,
    time_ns bigint NOT NULL,
    px_ticks bigint NOT NULL CHECK (px_ticks > 0),
    qty_lots bigint NOT NULL CHECK (qty_lots > 0),
    account text NOT NULL,
    symbol text NOT NULL,
    cl_ord_id text NOT NULL,
    side text NOT NULL,
    liquidity text NOT NULL
);
CREATE INDEX fill_account ON history.fill (account, seq);
CREATE INDEX fill_symbol ON history.fill (symbol, seq);
CREATE INDEX fill_order_id ON history.fill (order_id, seq);

CREATE TABLE history.position_state (
    account text NOT NULL,
    symbol text NOT NULL,
    last_seq bigint NOT NULL,
    bought_lots numeric NOT NULL,
    sold_lots numeric NOT NULL,
    adjusted_lots numeric NOT NULL,
    bought_value_ticks_lots numeric NOT NULL,
    sold_value_ticks_lots numeric NOT NULL,
    PRIMARY KEY (account, symbol)
) WITH (fillfactor = 50);

CREATE TABLE history.cash_state (
    account text NOT NULL,
    currency text NOT NULL,
    last_seq bigint NOT NULL,
    adjusted_micro numeric NOT NULL,
    PRIMARY KEY (account, currency)
) WITH (fillfactor = 50);

CREATE VIEW history.instruments AS
SELECT
    symbol,
    asset_class,
    currency,
    base_currency,
    trim_scale(tick_size_nano * 0.000000001) AS tick_size,
    trim_scale(lot_size_nano * 0.000000001) AS lot_size,
    multiplier,
    to_date(expiry_date::text, 'YYYYMMDD') AS expiry_date,
    trim_scale(strike_nano * 0.000000001) AS strike_price,
    option_right,
    description,
    listed_seq,
    -- Worth of one tick on one lot, in the currency.
    trim_scale(tick_size_nano::numeric * lot_size_nano * multiplier * 0.000000000000000001) AS tick_lot_value
FROM history.instrument_terms;

CREATE VIEW history.orders AS
SELECT
    o.order_id,
    o.account,
    o.cl_ord_id,
    o.symbol,
    o.side,
    o.ord_type,
    o.time_in_force,
    o.ord_status,
    trim_scale(o.qty_lots * i.lot_size) AS order_qty,
    trim_scale(o.price_ticks * i.tick_size) AS price,
    trim_scale(o.cum_qty_lots * i.lot_size) AS cum_qty,
    trim_scale(o.leaves_qty_lots * i.lot_size) AS leaves_qty,
    CASE WHEN o.cum_qty_lots > 0
        THEN trim_scale(round(o.cum_value_ticks_lots * i.tick_size / o.cum_qty_lots, 9))
    END AS avg_px,
    o.reason,
    o.decision_maker,
    o.strategy_id,
    timestamptz 'epoch' + o.accepted_time_ns / 1000 * interval '1 microsecond' AS accepted_time,
    timestamptz 'epoch' + o.last_time_ns / 1000 * interval '1 microsecond' AS last_time,
    o.last_seq
FROM history.order_state o
JOIN history.instruments i USING (symbol);

CREATE VIEW history.executions AS
SELECT
    f.seq,
    f.trade_id,
    f.order_id,
    f.contra_order_id,
    f.account,
    f.cl_ord_id,
    f.symbol,
    f.side,
    f.liquidity,
    trim_scale(f.px_ticks * i.tick_size) AS last_px,
    trim_scale(f.qty_lots * i.lot_size) AS last_qty,
    trim_scale(f.px_ticks::numeric * f.qty_lots * i.tick_lot_value) AS last_value,
    i.currency,
    timestamptz 'epoch' + f.time_ns / 1000 * interval '1 microsecond' AS transact_time
FROM history.fill f
JOIN history.instruments i USING (symbol);

CREATE VIEW history.positions AS
SELECT
    p.account,
    p.symbol,
    trim_scale((p.adjusted_lots + p.bought_lots - p.sold_lots) * i.lot_size) AS qty,
    trim_scale(p.bought_lots * i.lot_size) AS bought_qty,
    trim_scale(p.sold_lots * i.lot_size) AS sold_qty,
    trim_scale(p.bought_value_ticks_lots * i.tick_lot_value) AS bought_value,
    trim_scale(p.sold_value_ticks_lots * i.tick_lot_value) AS sold_value,
    i.currency,
    p.last_seq
FROM history.position_state p
JOIN history.instruments i USING (symbol);

-- Cash is what was paid in and out, and what trades earned and cost.
CREATE VIEW history.balances AS
SELECT account, currency, trim_scale(sum(amount)) AS cash, max(last_seq) AS last_seq
FROM (
    SELECT account, currency, adjusted_micro * 0.000001 AS amount, last_seq FROM history.cash_state
    UNION ALL
    SELECT account, currency, sold_value - bought_value, last_seq FROM history.positions
) AS movements
GROUP BY account, currency;

-- migrate:down

DROP SCHEMA history CASCADE;
