-- source
CREATE TABLE t(id INTEGER PRIMARY KEY DESC, v REAL);

-- capture of t: primary, a369ac3f4b7dab82
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."id");
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."id");
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."id");
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "id", rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."id");
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "id", rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."id");
END;
CREATE TRIGGER "_liteferry_1_bi" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."id");
END;
CREATE TRIGGER "_liteferry_1_ri" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 1, "id" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;
CREATE TRIGGER "_liteferry_1_rr" BEFORE UPDATE OF rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 1, "id" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;

-- changes
SELECT l.k1, t."id", t."v" FROM (SELECT DISTINCT k1 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."t" AS t ON t."id" COLLATE "BINARY" = l.k1;
-- next page
SELECT * FROM main."t" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- t.id: bigint; no rows
-- t.v: double precision; no rows
CREATE TABLE "public"."t" (
    "id" bigint NOT NULL,
    "v" double precision
);
ALTER TABLE "public"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY ("id");
COMMENT ON COLUMN "public"."t"."id" IS 'from SQLite INTEGER';
COMMENT ON COLUMN "public"."t"."v" IS 'from SQLite REAL';

-- applied to t
INSERT INTO "public"."t" ("id", "v") SELECT * FROM unnest($1::bigint[], $2::double precision[]) ON CONFLICT ("id") DO UPDATE SET "v" = EXCLUDED."v";
DELETE FROM "public"."t" AS t USING unnest($1::bigint[]) AS k(k0) WHERE t."id" = k.k0;
INSERT INTO "public"."t" ("id", "v") SELECT * FROM unnest($1::bigint[], $2::double precision[]);
SELECT t."id", t."v" FROM "public"."t" AS t JOIN unnest($1::bigint[]) AS k(k0) ON t."id" = k.k0;
DELETE FROM "public"."t" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "id" ORDER BY ctid) AS copy FROM "public"."t") AS copies WHERE copy > 1);
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
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['id']::name[])) <> 1 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 1);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."id"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."id"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."id"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."id"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."t" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."t" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."t" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, t.ctid IS NOT NULL, t."id", t."v" FROM (SELECT DISTINCT (key[1])::bigint AS k0 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."t" AS t ON t."id" = l.k0;
SELECT t."id", t."v" FROM "public"."t" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."id"::text], encode(sha256(convert_to(ARRAY[t."id"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[]) AS r(c, w, k0) JOIN "public"."t" AS t ON t."id" = r.k0 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text] FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place);
SELECT k.place FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text]::text, 'UTF8')), 'hex'));
