-- source
CREATE TABLE scores(game INT, at REAL, who TEXT, PRIMARY KEY(game, at DESC)) WITHOUT ROWID;

-- capture of scores: primary, ca14b185cd151c45
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "scores"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."game", NEW."at");
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "scores"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, OLD."game", OLD."at");
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "scores"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, OLD."game", OLD."at");
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "game", "at" ON "scores"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."game", NEW."at");
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "game", "at" ON "scores"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."game", NEW."at");
END;
CREATE TRIGGER "_liteferry_1_bi" BEFORE INSERT ON "scores"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."game", NEW."at");
END;

-- changes
SELECT l.k1, l.k2, t."game", t."at", t."who" FROM (SELECT DISTINCT k1, k2 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."scores" AS t ON t."game" COLLATE "BINARY" = l.k1 AND t."at" COLLATE "BINARY" = l.k2;
-- next page
SELECT * FROM (SELECT * FROM main."scores" AS t WHERE t."game" COLLATE "BINARY" = ? AND t."at" COLLATE "BINARY" < ? ORDER BY t."game" COLLATE "BINARY", t."at" COLLATE "BINARY" DESC LIMIT ?) UNION ALL SELECT * FROM (SELECT * FROM main."scores" AS t WHERE t."game" COLLATE "BINARY" > ? ORDER BY t."game" COLLATE "BINARY", t."at" COLLATE "BINARY" DESC LIMIT ?) LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- scores.game: bigint; no rows
-- scores.at: double precision; no rows
-- scores.who: text; no rows
CREATE TABLE "public"."scores" (
    "game" bigint NOT NULL,
    "at" double precision NOT NULL,
    "who" text
);
ALTER TABLE "public"."scores" ADD CONSTRAINT "scores_pkey" PRIMARY KEY ("game", "at");
COMMENT ON COLUMN "public"."scores"."game" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."scores"."at" IS 'from SQLite REAL';
COMMENT ON COLUMN "public"."scores"."who" IS 'from SQLite TEXT';

-- applied to scores
INSERT INTO "public"."scores" ("game", "at", "who") SELECT * FROM unnest($1::bigint[], $2::double precision[], $3::text[]) ON CONFLICT ("game", "at") DO UPDATE SET "who" = EXCLUDED."who";
DELETE FROM "public"."scores" AS t USING unnest($1::bigint[], $2::double precision[]) AS k(k0, k1) WHERE t."game" = k.k0 AND t."at" = k.k1;
INSERT INTO "public"."scores" ("game", "at", "who") SELECT * FROM unnest($1::bigint[], $2::double precision[], $3::text[]);
SELECT t."game", t."at", t."who" FROM "public"."scores" AS t JOIN unnest($1::bigint[], $2::double precision[]) AS k(k0, k1) ON t."game" = k.k0 AND t."at" = k.k1;
DELETE FROM "public"."scores" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "game", "at" ORDER BY ctid) AS copy FROM "public"."scores") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."scores" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- the way back of scores
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_1"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['game', 'at']::name[])) <> 2 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 1);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."game"::text, n."at"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."game"::text, o."at"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."game"::text, o."at"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."game"::text, n."at"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."scores" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."scores" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."scores" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."scores" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."scores" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, l.k1, t.ctid IS NOT NULL, t."game", t."at", t."who" FROM (SELECT DISTINCT (key[1])::bigint AS k0, (key[2])::double precision AS k1 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."scores" AS t ON t."game" = l.k0 AND t."at" = l.k1;
SELECT t."game", t."at", t."who" FROM "public"."scores" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."game"::text, t."at"::text], encode(sha256(convert_to(ARRAY[t."game"::text, t."at"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[], $6::double precision[]) AS r(c, w, k0, k1) JOIN "public"."scores" AS t ON t."game" = r.k0 AND t."at" = r.k1 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text, k.k1::text] FROM unnest($3::bigint[], $4::double precision[]) WITH ORDINALITY AS k(k0, k1, place);
SELECT k.place FROM unnest($3::bigint[], $4::double precision[]) WITH ORDINALITY AS k(k0, k1, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text, k.k1::text]::text, 'UTF8')), 'hex'));
