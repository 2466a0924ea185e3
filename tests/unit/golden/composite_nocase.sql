-- source
CREATE TABLE words(lang TEXT, word TEXT COLLATE NOCASE, n, PRIMARY KEY(lang, word));

-- capture of words: primary, e635809965858d65
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."lang", NEW."word");
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, OLD."lang", OLD."word");
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, OLD."lang", OLD."word");
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "lang", "word", rowid, oid, _rowid_ ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."lang", NEW."word");
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "lang", "word", rowid, oid, _rowid_ ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."lang", NEW."word");
END;
CREATE TRIGGER "_liteferry_1_bi" BEFORE INSERT ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 1, NEW."lang", NEW."word");
END;
CREATE TRIGGER "_liteferry_1_ri" BEFORE INSERT ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, "lang", "word" FROM "words" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "words" AS "_liteferry_row" WHERE "lang" COLLATE "BINARY" = NEW."lang" AND "word" COLLATE "NOCASE" = NEW."word") FROM (SELECT NULL AS "lang", NULL AS "word") AS NEW);
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, "lang", "word" FROM "words" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;
CREATE TRIGGER "_liteferry_1_ru" BEFORE UPDATE OF "lang", "word" ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, "lang", "word" FROM "words" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "words" AS "_liteferry_row" WHERE "lang" COLLATE "BINARY" = NEW."lang" AND "word" COLLATE "NOCASE" = NEW."word" AND "rowid" <> OLD."rowid") FROM (SELECT NULL AS "lang", NULL AS "word") AS NEW);
END;
CREATE TRIGGER "_liteferry_1_rr" BEFORE UPDATE OF rowid, oid, _rowid_ ON "words"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 1, "lang", "word" FROM "words" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;

-- changes
SELECT l.k1, l.k2, t."lang", t."word", t."n" FROM (SELECT DISTINCT k1, k2 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."words" AS t ON t."lang" COLLATE "BINARY" = l.k1 AND t."word" COLLATE "NOCASE" = l.k2;
-- next page
SELECT * FROM main."words" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- words.lang: text; no rows
-- words.word: text; no rows
-- words.n: text; no rows
CREATE TABLE "public"."words" (
    "lang" text NOT NULL,
    "word" text NOT NULL,
    "n" text
);
ALTER TABLE "public"."words" ADD CONSTRAINT "words_pkey" PRIMARY KEY ("lang", "word");
CREATE UNIQUE INDEX "words_lang_word_folded" ON "public"."words" ("lang", lower("word" COLLATE "C"));
COMMENT ON COLUMN "public"."words"."lang" IS 'from SQLite TEXT';
COMMENT ON COLUMN "public"."words"."word" IS 'from SQLite TEXT';
COMMENT ON COLUMN "public"."words"."n" IS 'from SQLite without a type';
-- not carried: words, column word: compares by NOCASE in SQLite; = and ORDER BY on the target do not: compare lower(column COLLATE "C"), or give the column a nondeterministic collation

-- applied to words
INSERT INTO "public"."words" ("lang", "word", "n") SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT ("lang", "word") DO UPDATE SET "n" = EXCLUDED."n";
DELETE FROM "public"."words" AS t USING unnest($1::text[], $2::text[]) AS k(k0, k1) WHERE t."lang" = k.k0 AND t."word" = k.k1;
INSERT INTO "public"."words" ("lang", "word", "n") SELECT * FROM unnest($1::text[], $2::text[], $3::text[]);
SELECT t."lang", t."word", t."n" FROM "public"."words" AS t JOIN unnest($1::text[], $2::text[]) AS k(k0, k1) ON t."lang" = k.k0 AND t."word" = k.k1;
DELETE FROM "public"."words" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "lang", "word" ORDER BY ctid) AS copy FROM "public"."words") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."words" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- the way back of words
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_1"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['lang', 'word']::name[])) <> 2 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 1);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."lang"::text, n."word"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."lang"::text, o."word"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."lang"::text, o."word"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."lang"::text, n."word"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."words" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."words" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."words" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."words" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."words" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, l.k1, t.ctid IS NOT NULL, t."lang", t."word", t."n" FROM (SELECT DISTINCT (key[1])::text AS k0, (key[2])::text AS k1 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."words" AS t ON t."lang" = l.k0 AND t."word" = l.k1;
SELECT t."lang", t."word", t."n" FROM "public"."words" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."lang"::text, t."word"::text], encode(sha256(convert_to(ARRAY[t."lang"::text, t."word"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS r(c, w, k0, k1) JOIN "public"."words" AS t ON t."lang" = r.k0 AND t."word" = r.k1 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text, k.k1::text] FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS k(k0, k1, place);
SELECT k.place FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS k(k0, k1, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text, k.k1::text]::text, 'UTF8')), 'hex'));
