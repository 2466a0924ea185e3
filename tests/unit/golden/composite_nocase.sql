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
