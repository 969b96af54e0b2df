-- migrate:up

-- The audit log: a Merkle tree (RFC 9162) over the bytes of every event. Rows
-- are only ever added; triggers refuse everything else.
CREATE SCHEMA audit;

-- Times are unix ns: a timestamptz would lose the last three digits.
CREATE TABLE audit.leaves (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    event_time_ns bigint NOT NULL,
    received_time_ns bigint NOT NULL,
    order_id bigint,
    event_type text NOT NULL,
    account text,
    symbol text,
    cl_ord_id text,
    actor text,
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    entry bytea NOT NULL
);

-- One index for each filter, each in the order in which pages are read.
CREATE INDEX leaves_account ON audit.leaves (account, leaf_index) WHERE account IS NOT NULL;
CREATE INDEX leaves_account_symbol ON audit.leaves (account, symbol, leaf_index) WHERE symbol IS NOT NULL;
CREATE INDEX leaves_symbol ON audit.leaves (symbol, leaf_index) WHERE symbol IS NOT NULL;
CREATE INDEX leaves_order_id ON audit.leaves (order_id, leaf_index) WHERE order_id IS NOT NULL;
CREATE INDEX leaves_cl_ord_id ON audit.leaves (cl_ord_id, leaf_index) WHERE cl_ord_id IS NOT NULL;
CREATE INDEX leaves_event_type ON audit.leaves (event_type, leaf_index);
CREATE INDEX leaves_event_time ON audit.leaves (event_time_ns, leaf_index);

-- Finished tiles of 256 hashes, C2SP tlog-tiles; what is not finished follows
-- from the leaves and from the roots of the tiles one level below.
CREATE TABLE audit.tiles (
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    position bigint NOT NULL CHECK (position >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    hashes bytea NOT NULL CHECK (octet_length(hashes) = 8192),
    PRIMARY KEY (level, position)
);
-- Hashes do not compress.
ALTER TABLE audit.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE audit.checkpoints (
    tree_size bigint PRIMARY KEY CHECK (tree_size > 0),
    signed_time_ns bigint NOT NULL,
    root_hash bytea NOT NULL CHECK (octet_length(root_hash) = 32),
    note text NOT NULL
);

-- How far the journal has been followed; moves in the transaction that stores
-- what was read. Its row is the lock of the one writer.
CREATE TABLE audit.position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    seq bigint NOT NULL CHECK (seq >= 0),
    epoch bigint NOT NULL CHECK (epoch >= 0)
);
INSERT INTO audit.position (seq, epoch) VALUES (0, 0);

CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% only grows: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER leaves_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.leaves
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER tiles_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.tiles
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER checkpoints_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER position_stays BEFORE DELETE OR TRUNCATE ON audit.position
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- For people: times that can be read, no bytes.
CREATE VIEW audit.trail AS
SELECT
    leaf_index,
    leaf_index + 1 AS seq,
    event_type,
    timestamptz 'epoch' + event_time_ns / 1000 * interval '1 microsecond' AS event_time,
    timestamptz 'epoch' + received_time_ns / 1000 * interval '1 microsecond' AS received_time,
    account,
    symbol,
    order_id,
    cl_ord_id,
    actor
FROM audit.leaves;

-- migrate:down

DROP SCHEMA audit CASCADE;
