-- migrate:up

-- What orders have beyond quantity and price, what fills cost, and listings
-- that have ended. Columns and views only grow, at their end.
ALTER TABLE history.instrument_terms ADD COLUMN delisted_seq bigint;

ALTER TABLE history.order_state
    ADD COLUMN stop_px_ticks bigint,
    ADD COLUMN display_qty_lots bigint,
    ADD COLUMN self_trade_prevention text,
    ADD COLUMN trail_offset bigint,
    ADD COLUMN trail_unit text,
    ADD COLUMN trigger_by text,
    ADD COLUMN min_qty_lots bigint,
    ADD COLUMN expire_time_ns bigint,
    ADD COLUMN post_only boolean NOT NULL DEFAULT false,
    ADD COLUMN reduce_only boolean NOT NULL DEFAULT false,
    ADD COLUMN contingency_type text,
    ADD COLUMN list_id text,
    ADD COLUMN leg integer;
CREATE INDEX order_state_list_id ON history.order_state (account, list_id) WHERE list_id IS NOT NULL;

-- In units of 10^-6 of the instrument's currency; negative for a rebate.
ALTER TABLE history.fill ADD COLUMN fee_micro bigint NOT NULL DEFAULT 0;
ALTER TABLE history.position_state ADD COLUMN fees_micro numeric NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW history.instruments AS
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
    trim_scale(tick_size_nano::numeric * lot_size_nano * multiplier * 0.000000000000000001) AS tick_lot_value,
    -- The event that ended the listing; none while it stands.
    delisted_seq
FROM history.instrument_terms;

CREATE OR REPLACE VIEW history.orders AS
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
    o.last_seq,
    trim_scale(o.stop_px_ticks * i.tick_size) AS stop_px,
    trim_scale(o.display_qty_lots * i.lot_size) AS display_qty,
    trim_scale(o.min_qty_lots * i.lot_size) AS min_qty,
    timestamptz 'epoch' + o.expire_time_ns / 1000 * interval '1 microsecond' AS expire_time,
    -- A price, or a number of basis points.
    CASE WHEN o.trail_unit = 'PRICE'
        THEN trim_scale(o.trail_offset * i.tick_size) ELSE o.trail_offset
    END AS trail_offset,
    o.trail_unit,
    o.trigger_by,
    o.post_only,
    o.reduce_only,
    o.self_trade_prevention,
    o.contingency_type,
    o.list_id,
    o.leg
FROM history.order_state o
JOIN history.instruments i USING (symbol);

CREATE OR REPLACE VIEW history.executions AS
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
    timestamptz 'epoch' + f.time_ns / 1000 * interval '1 microsecond' AS transact_time,
    trim_scale(f.fee_micro * 0.000001) AS fee
FROM history.fill f
JOIN history.instruments i USING (symbol);

CREATE OR REPLACE VIEW history.positions AS
SELECT
    p.account,
    p.symbol,
    trim_scale((p.adjusted_lots + p.bought_lots - p.sold_lots) * i.lot_size) AS qty,
    trim_scale(p.bought_lots * i.lot_size) AS bought_qty,
    trim_scale(p.sold_lots * i.lot_size) AS sold_qty,
    trim_scale(p.bought_value_ticks_lots * i.tick_lot_value) AS bought_value,
    trim_scale(p.sold_value_ticks_lots * i.tick_lot_value) AS sold_value,
    i.currency,
    p.last_seq,
    trim_scale(p.fees_micro * 0.000001) AS fees
FROM history.position_state p
JOIN history.instruments i USING (symbol);

-- Cash is what was paid in and out, what trades earned and cost, fees among
-- it; a trade of a currency pair moves cash of its base currency too.
CREATE OR REPLACE VIEW history.balances AS
SELECT account, currency, trim_scale(sum(amount)) AS cash, max(last_seq) AS last_seq
FROM (
    SELECT account, currency, adjusted_micro * 0.000001 AS amount, last_seq FROM history.cash_state
    UNION ALL
    SELECT account, currency, sold_value - bought_value - fees, last_seq FROM history.positions
    UNION ALL
    SELECT p.account, i.base_currency, p.bought_qty - p.sold_qty, p.last_seq
    FROM history.positions p
    JOIN history.instruments i USING (symbol)
    WHERE i.asset_class = 'FX'
) AS movements
GROUP BY account, currency;

-- migrate:down

DROP VIEW history.balances, history.positions, history.executions, history.orders, history.instruments;
ALTER TABLE history.position_state DROP COLUMN fees_micro;
ALTER TABLE history.fill DROP COLUMN fee_micro;
ALTER TABLE history.order_state
    DROP COLUMN stop_px_ticks,
    DROP COLUMN display_qty_lots,
    DROP COLUMN self_trade_prevention,
    DROP COLUMN trail_offset,
    DROP COLUMN trail_unit,
    DROP COLUMN trigger_by,
    DROP COLUMN min_qty_lots,
    DROP COLUMN expire_time_ns,
    DROP COLUMN post_only,
    DROP COLUMN reduce_only,
    DROP COLUMN contingency_type,
    DROP COLUMN list_id,
    DROP COLUMN leg;
ALTER TABLE history.instrument_terms DROP COLUMN delisted_seq;

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
