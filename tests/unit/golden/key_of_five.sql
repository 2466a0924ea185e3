-- source
CREATE TABLE t(a, b, c, d, e, PRIMARY KEY(e, d, c, b, a)) WITHOUT ROWID;

-- capture of t: primary, 0db2c3bc3316f4ca
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2, k3, k4, k5) VALUES(julianday('now'), 1, NEW."e", NEW."d", NEW."c", NEW."b", NEW."a");
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2, k3, k4, k5) VALUES(julianday('now'), 1, OLD."e", OLD."d", OLD."c", OLD."b", OLD."a");
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2, k3, k4, k5) VALUES(julianday('now'), 1, OLD."e", OLD."d", OLD."c", OLD."b", OLD."a");
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "e", "d", "c", "b", "a" ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2, k3, k4, k5) VALUES(julianday('now'), 1, NEW."e", NEW."d", NEW."c", NEW."b", NEW."a");
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "e", "d", "c", "b", "a" ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2, k3, k4, k5) VALUES(julianday('now'), 1, NEW."e", NEW."d", NEW."c", NEW."b", NEW."a");
END;
CREATE TRIGGER "_liteferry_1_bi" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2, k3, k4, k5) VALUES(julianday('now'), 1, NEW."e", NEW."d", NEW."c", NEW."b", NEW."a");
END;

-- changes
SELECT l.k1, l.k2, l.k3, l.k4, l.k5, t."a", t."b", t."c", t."d", t."e" FROM (SELECT DISTINCT k1, k2, k3, k4, k5 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."t" AS t ON t."e" COLLATE "BINARY" = l.k1 AND t."d" COLLATE "BINARY" = l.k2 AND t."c" COLLATE "BINARY" = l.k3 AND t."b" COLLATE "BINARY" = l.k4 AND t."a" COLLATE "BINARY" = l.k5;
-- next page
SELECT * FROM (SELECT * FROM main."t" AS t WHERE t."e" COLLATE "BINARY" = ? AND t."d" COLLATE "BINARY" = ? AND t."c" COLLATE "BINARY" = ? AND t."b" COLLATE "BINARY" = ? AND t."a" COLLATE "BINARY" > ? ORDER BY t."e" COLLATE "BINARY", t."d" COLLATE "BINARY", t."c" COLLATE "BINARY", t."b" COLLATE "BINARY", t."a" COLLATE "BINARY" LIMIT ?) UNION ALL SELECT * FROM (SELECT * FROM main."t" AS t WHERE t."e" COLLATE "BINARY" = ? AND t."d" COLLATE "BINARY" = ? AND t."c" COLLATE "BINARY" = ? AND t."b" COLLATE "BINARY" > ? ORDER BY t."e" COLLATE "BINARY", t."d" COLLATE "BINARY", t."c" COLLATE "BINARY", t."b" COLLATE "BINARY", t."a" COLLATE "BINARY" LIMIT ?) UNION ALL SELECT * FROM (SELECT * FROM main."t" AS t WHERE t."e" COLLATE "BINARY" = ? AND t."d" COLLATE "BINARY" = ? AND t."c" COLLATE "BINARY" > ? ORDER BY t."e" COLLATE "BINARY", t."d" COLLATE "BINARY", t."c" COLLATE "BINARY", t."b" COLLATE "BINARY", t."a" COLLATE "BINARY" LIMIT ?) UNION ALL SELECT * FROM (SELECT * FROM main."t" AS t WHERE t."e" COLLATE "BINARY" = ? AND t."d" COLLATE "BINARY" > ? ORDER BY t."e" COLLATE "BINARY", t."d" COLLATE "BINARY", t."c" COLLATE "BINARY", t."b" COLLATE "BINARY", t."a" COLLATE "BINARY" LIMIT ?) UNION ALL SELECT * FROM (SELECT * FROM main."t" AS t WHERE t."e" COLLATE "BINARY" > ? ORDER BY t."e" COLLATE "BINARY", t."d" COLLATE "BINARY", t."c" COLLATE "BINARY", t."b" COLLATE "BINARY", t."a" COLLATE "BINARY" LIMIT ?) LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- t.a: text; no rows
-- t.b: text; no rows
-- t.c: text; no rows
-- t.d: text; no rows
-- t.e: text; no rows
CREATE TABLE "public"."t" (
    "a" text NOT NULL,
    "b" text NOT NULL,
    "c" text NOT NULL,
    "d" text NOT NULL,
    "e" text NOT NULL
);
ALTER TABLE "public"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY ("e", "d", "c", "b", "a");
COMMENT ON COLUMN "public"."t"."a" IS 'from SQLite without a type';
COMMENT ON COLUMN "public"."t"."b" IS 'from SQLite without a type';
COMMENT ON COLUMN "public"."t"."c" IS 'from SQLite without a type';
COMMENT ON COLUMN "public"."t"."d" IS 'from SQLite without a type';
COMMENT ON COLUMN "public"."t"."e" IS 'from SQLite without a type';

-- applied to t
INSERT INTO "public"."t" ("a", "b", "c", "d", "e") SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) ON CONFLICT ("e", "d", "c", "b", "a") DO NOTHING;
DELETE FROM "public"."t" AS t USING unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k(k0, k1, k2, k3, k4) WHERE t."e" = k.k0 AND t."d" = k.k1 AND t."c" = k.k2 AND t."b" = k.k3 AND t."a" = k.k4;
INSERT INTO "public"."t" ("a", "b", "c", "d", "e") SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]);
SELECT t."a", t."b", t."c", t."d", t."e" FROM "public"."t" AS t JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k(k0, k1, k2, k3, k4) ON t."e" = k.k0 AND t."d" = k.k1 AND t."c" = k.k2 AND t."b" = k.k3 AND t."a" = k.k4;
DELETE FROM "public"."t" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "e", "d", "c", "b", "a" ORDER BY ctid) AS copy FROM "public"."t") AS copies WHERE copy > 1);
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
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['e', 'd', 'c', 'b', 'a']::name[])) <> 5 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 1);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."e"::text, n."d"::text, n."c"::text, n."b"::text, n."a"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."e"::text, o."d"::text, o."c"::text, o."b"::text, o."a"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."e"::text, o."d"::text, o."c"::text, o."b"::text, o."a"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."e"::text, n."d"::text, n."c"::text, n."b"::text, n."a"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."t" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."t" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."t" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."t" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, l.k1, l.k2, l.k3, l.k4, t.ctid IS NOT NULL, t."a", t."b", t."c", t."d", t."e" FROM (SELECT DISTINCT (key[1])::text AS k0, (key[2])::text AS k1, (key[3])::text AS k2, (key[4])::text AS k3, (key[5])::text AS k4 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."t" AS t ON t."e" = l.k0 AND t."d" = l.k1 AND t."c" = l.k2 AND t."b" = l.k3 AND t."a" = l.k4;
SELECT t."a", t."b", t."c", t."d", t."e" FROM "public"."t" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."e"::text, t."d"::text, t."c"::text, t."b"::text, t."a"::text], encode(sha256(convert_to(ARRAY[t."e"::text, t."d"::text, t."c"::text, t."b"::text, t."a"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[]) AS r(c, w, k0, k1, k2, k3, k4) JOIN "public"."t" AS t ON t."e" = r.k0 AND t."d" = r.k1 AND t."c" = r.k2 AND t."b" = r.k3 AND t."a" = r.k4 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text, k.k1::text, k.k2::text, k.k3::text, k.k4::text] FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS k(k0, k1, k2, k3, k4, place);
SELECT k.place FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS k(k0, k1, k2, k3, k4, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text, k.k1::text, k.k2::text, k.k3::text, k.k4::text]::text, 'UTF8')), 'hex'));
