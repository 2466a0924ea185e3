-- source
CREATE TABLE t(rowid TEXT NOT NULL, oid INT, _rowid_, UNIQUE(rowid));

-- capture of t: unique, 71bbd41d2a2c7bff
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."rowid") FROM (SELECT NULL AS "rowid") AS NEW));
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, (SELECT (SELECT OLD."rowid") FROM (SELECT NULL AS "rowid") AS OLD));
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, (SELECT (SELECT OLD."rowid") FROM (SELECT NULL AS "rowid") AS OLD));
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "rowid" ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."rowid") FROM (SELECT NULL AS "rowid") AS NEW));
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "rowid" ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."rowid") FROM (SELECT NULL AS "rowid") AS NEW));
END;
CREATE TRIGGER "_liteferry_1_bi" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."rowid") FROM (SELECT NULL AS "rowid") AS NEW));
END;

-- changes
SELECT l.k1, t."rowid", t."oid", t."_rowid_" FROM (SELECT DISTINCT k1 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."t" AS t ON t."rowid" COLLATE "BINARY" = l.k1;
-- next page
SELECT * FROM main."t" AS t WHERE t."rowid" COLLATE "BINARY" > ? ORDER BY t."rowid" COLLATE "BINARY" LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- t.rowid: text; no rows
-- t.oid: bigint; no rows
-- t._rowid_: text; no rows
CREATE TABLE "public"."t" (
    "rowid" text NOT NULL,
    "oid" bigint,
    "_rowid_" text
);
ALTER TABLE "public"."t" ADD CONSTRAINT "t_rowid_key" UNIQUE ("rowid");
COMMENT ON COLUMN "public"."t"."rowid" IS 'from SQLite TEXT';
COMMENT ON COLUMN "public"."t"."oid" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."t"."_rowid_" IS 'from SQLite without a type';

-- applied to t
INSERT INTO "public"."t" ("rowid", "oid", "_rowid_") SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]) ON CONFLICT ("rowid") DO UPDATE SET "oid" = EXCLUDED."oid", "_rowid_" = EXCLUDED."_rowid_";
DELETE FROM "public"."t" AS t USING unnest($1::text[]) AS k(k0) WHERE t."rowid" = k.k0;
INSERT INTO "public"."t" ("rowid", "oid", "_rowid_") SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]);
SELECT t."rowid", t."oid", t."_rowid_" FROM "public"."t" AS t JOIN unnest($1::text[]) AS k(k0) ON t."rowid" = k.k0;
DELETE FROM "public"."t" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "rowid" ORDER BY ctid) AS copy FROM "public"."t") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."t" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- the way back of t
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_1"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['rowid']::name[])) <> 1 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 1);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."rowid"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."rowid"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."rowid"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."rowid"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."t" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."t" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."t" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, t.ctid IS NOT NULL, t."rowid", t."oid", t."_rowid_" FROM (SELECT DISTINCT (key[1])::text AS k0 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."t" AS t ON t."rowid" = l.k0;
SELECT t."rowid", t."oid", t."_rowid_" FROM "public"."t" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."rowid"::text], encode(sha256(convert_to(ARRAY[t."rowid"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::text[]) AS r(c, w, k0) JOIN "public"."t" AS t ON t."rowid" = r.k0 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text] FROM unnest($3::text[]) WITH ORDINALITY AS k(k0, place);
SELECT k.place FROM unnest($3::text[]) WITH ORDINALITY AS k(k0, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text]::text, 'UTF8')), 'hex'));
