-- The tables of the journal in PostgreSQL. The journal runs this itself, once,
-- when `fence` is not there. It shares a database with whatever else is in it.
CREATE SCHEMA IF NOT EXISTS ordergate_journal;

-- One row: who may append, and how far the journal has come. Every append
-- changes it, so that a writer of an older epoch waits for the newer one's
-- commit and then finds that it is out, and so that rows which are missing at
-- the end are missed.
CREATE TABLE ordergate_journal.fence (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch bigint NOT NULL,
    last_seq bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO ordergate_journal.fence (epoch, last_seq) VALUES (0, 0);

-- A batch a row. The checksum is that of the frame in a journal file: CRC32C
-- over length, sequences, epoch and payload.
CREATE TABLE ordergate_journal.batches (
    first_seq bigint PRIMARY KEY,
    last_seq bigint NOT NULL CHECK (last_seq >= first_seq),
    epoch bigint NOT NULL,
    crc32c bigint NOT NULL,
    payload bytea NOT NULL
) WITH (toast_tuple_target = 8160);
-- Batches are small or do not compress in the time there is.
ALTER TABLE ordergate_journal.batches ALTER COLUMN payload SET STORAGE EXTERNAL;

-- A snapshot in parts, because a value has its limits; together they are the
-- bytes of a snapshot file.
CREATE TABLE ordergate_journal.snapshots (
    seq bigint NOT NULL,
    part integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (seq, part)
);
ALTER TABLE ordergate_journal.snapshots ALTER COLUMN content SET STORAGE EXTERNAL;
