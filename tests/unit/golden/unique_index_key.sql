-- source
CREATE TABLE t(a INT, code TEXT NOT NULL, region INT NOT NULL, note TEXT);
CREATE UNIQUE INDEX k ON t(region DESC, code);
CREATE UNIQUE INDEX n ON t(note COLLATE NOCASE);

-- capture of t: unique, a1c6d98f59fe9d80
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."region") FROM (SELECT NULL AS "region") AS NEW), (SELECT (SELECT NEW."code") FROM (SELECT NULL AS "code") AS NEW));
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, (SELECT (SELECT OLD."region") FROM (SELECT NULL AS "region") AS OLD), (SELECT (SELECT OLD."code") FROM (SELECT NULL AS "code") AS OLD));
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, (SELECT (SELECT OLD."region") FROM (SELECT NULL AS "region") AS OLD), (SELECT (SELECT OLD."code") FROM (SELECT NULL AS "code") AS OLD));
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "region", "code", rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."region") FROM (SELECT NULL AS "region") AS NEW), (SELECT (SELECT NEW."code") FROM (SELECT NULL AS "code") AS NEW));
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "region", "code", rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."region") FROM (SELECT NULL AS "region") AS NEW), (SELECT (SELECT NEW."code") FROM (SELECT NULL AS "code") AS NEW));
END;
CREATE TRIGGER "_liteferry_1_bi" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, (SELECT (SELECT NEW."region") FROM (SELECT NULL AS "region") AS NEW), (SELECT (SELECT NEW."code") FROM (SELECT NULL AS "code") AS NEW));
END;
CREATE TRIGGER "_liteferry_1_ri" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, k1, k2 FROM (SELECT (SELECT (SELECT "region" FROM "t" AS "_liteferry_row" WHERE "note" COLLATE "NOCASE" = NEW."note") FROM (SELECT NULL AS "note", NULL AS "region", NULL AS "code") AS NEW) AS k1, (SELECT (SELECT "code" FROM "t" AS "_liteferry_row" WHERE "note" COLLATE "NOCASE" = NEW."note") FROM (SELECT NULL AS "note", NULL AS "region", NULL AS "code") AS NEW) AS k2) WHERE k1 IS NOT NULL;
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, k1, k2 FROM (SELECT (SELECT (SELECT "region" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid") FROM (SELECT NULL AS "region", NULL AS "code") AS NEW) AS k1, (SELECT (SELECT "code" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid") FROM (SELECT NULL AS "region", NULL AS "code") AS NEW) AS k2) WHERE k1 IS NOT NULL;
END;
CREATE TRIGGER "_liteferry_1_ru" BEFORE UPDATE OF "note" ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, k1, k2 FROM (SELECT (SELECT (SELECT "region" FROM "t" AS "_liteferry_row" WHERE "note" COLLATE "NOCASE" = NEW."note" AND "rowid" <> OLD."rowid") FROM (SELECT NULL AS "note", NULL AS "region", NULL AS "code") AS NEW) AS k1, (SELECT (SELECT "code" FROM "t" AS "_liteferry_row" WHERE "note" COLLATE "NOCASE" = NEW."note" AND "rowid" <> OLD."rowid") FROM (SELECT NULL AS "note", NULL AS "region", NULL AS "code") AS NEW) AS k2) WHERE k1 IS NOT NULL;
END;
CREATE TRIGGER "_liteferry_1_rr" BEFORE UPDATE OF rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, k1, k2 FROM (SELECT (SELECT (SELECT "region" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid") FROM (SELECT NULL AS "region", NULL AS "code") AS NEW) AS k1, (SELECT (SELECT "code" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid") FROM (SELECT NULL AS "region", NULL AS "code") AS NEW) AS k2) WHERE k1 IS NOT NULL;
END;

-- changes
SELECT l.k1, l.k2, t."a", t."code", t."region", t."note" FROM (SELECT DISTINCT k1, k2 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."t" AS t ON t."region" COLLATE "BINARY" = l.k1 AND t."code" COLLATE "BINARY" = l.k2;
-- next page
SELECT * FROM main."t" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- t.a: bigint; no rows
-- t.code: text; no rows
-- t.region: bigint; no rows
-- t.note: text; no rows
CREATE TABLE "public"."t" (
    "a" bigint,
    "code" text NOT NULL,
    "region" bigint NOT NULL,
    "note" text
);
ALTER TABLE "public"."t" ADD CONSTRAINT "t_region_code_key" UNIQUE ("region", "code");
CREATE UNIQUE INDEX "n" ON "public"."t" (lower("note" COLLATE "C") NULLS FIRST);
COMMENT ON COLUMN "public"."t"."a" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."t"."code" IS 'from SQLite TEXT';
COMMENT ON COLUMN "public"."t"."region" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."t"."note" IS 'from SQLite TEXT';

-- applied to t
INSERT INTO "public"."t" ("a", "code", "region", "note") SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) ON CONFLICT ("region", "code") DO UPDATE SET "a" = EXCLUDED."a", "note" = EXCLUDED."note";
DELETE FROM "public"."t" AS t USING unnest($1::bigint[], $2::text[]) AS k(k0, k1) WHERE t."region" = k.k0 AND t."code" = k.k1;
INSERT INTO "public"."t" ("a", "code", "region", "note") SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]);
SELECT t."a", t."code", t."region", t."note" FROM "public"."t" AS t JOIN unnest($1::bigint[], $2::text[]) AS k(k0, k1) ON t."region" = k.k0 AND t."code" = k.k1;
DELETE FROM "public"."t" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "region", "code" ORDER BY ctid) AS copy FROM "public"."t") AS copies WHERE copy > 1);
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
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['region', 'code']::name[])) <> 2 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 1);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."region"::text, n."code"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."region"::text, o."code"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."region"::text, o."code"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."region"::text, n."code"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."t" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."t" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."t" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, l.k1, t.ctid IS NOT NULL, t."a", t."code", t."region", t."note" FROM (SELECT DISTINCT (key[1])::bigint AS k0, (key[2])::text AS k1 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."t" AS t ON t."region" = l.k0 AND t."code" = l.k1;
SELECT t."a", t."code", t."region", t."note" FROM "public"."t" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."region"::text, t."code"::text], encode(sha256(convert_to(ARRAY[t."region"::text, t."code"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[]) AS r(c, w, k0, k1) JOIN "public"."t" AS t ON t."region" = r.k0 AND t."code" = r.k1 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text, k.k1::text] FROM unnest($3::bigint[], $4::text[]) WITH ORDINALITY AS k(k0, k1, place);
SELECT k.place FROM unnest($3::bigint[], $4::text[]) WITH ORDINALITY AS k(k0, k1, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text, k.k1::text]::text, 'UTF8')), 'hex'));
