-- source
CREATE TABLE t(a TEXT PRIMARY KEY, b GENERATED ALWAYS AS (upper(a)) STORED UNIQUE);

-- capture of t: primary, d5db7cabc576a5da
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."a");
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."a");
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."a");
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "a", rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."a");
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "a", rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."a");
END;
CREATE TRIGGER "_liteferry_1_bi" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."a");
END;
CREATE TRIGGER "_liteferry_1_ri" BEFORE INSERT ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 1, "a" FROM "t" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "t" AS "_liteferry_row" WHERE "b" COLLATE "BINARY" = NEW."b") FROM (SELECT NULL AS "b") AS NEW);
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 1, "a" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;
CREATE TRIGGER "_liteferry_1_ru" BEFORE UPDATE ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 1, "a" FROM "t" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "t" AS "_liteferry_row" WHERE "b" COLLATE "BINARY" = NEW."b" AND "rowid" <> OLD."rowid") FROM (SELECT NULL AS "b") AS NEW);
END;
CREATE TRIGGER "_liteferry_1_rr" BEFORE UPDATE OF rowid, oid, _rowid_ ON "t"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 1, "a" FROM "t" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;

-- changes
SELECT l.k1, t."a", t."b" FROM (SELECT DISTINCT k1 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."t" AS t ON t."a" COLLATE "BINARY" = l.k1;
-- next page
SELECT * FROM main."t" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- t.a: text; no rows
-- t.b: text; no rows
CREATE TABLE "public"."t" (
    "a" text NOT NULL,
    "b" text
);
ALTER TABLE "public"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY ("a");
ALTER TABLE "public"."t" ADD CONSTRAINT "t_b_key" UNIQUE ("b");
COMMENT ON COLUMN "public"."t"."a" IS 'from SQLite TEXT';
COMMENT ON COLUMN "public"."t"."b" IS 'from SQLite without a type; generated';
CREATE FUNCTION "public"."t_generated"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS 'BEGIN
    NEW."b" := upper(NEW."a" COLLATE "C");
    RETURN NEW;
END';
CREATE TRIGGER "t_generated" BEFORE INSERT OR UPDATE ON "public"."t" FOR EACH ROW EXECUTE FUNCTION "public"."t_generated"();

-- applied to t
INSERT INTO "public"."t" ("a", "b") SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT ("a") DO UPDATE SET "b" = EXCLUDED."b";
DELETE FROM "public"."t" AS t USING unnest($1::text[]) AS k(k0) WHERE t."a" = k.k0;
INSERT INTO "public"."t" ("a", "b") SELECT * FROM unnest($1::text[], $2::text[]);
SELECT t."a", t."b" FROM "public"."t" AS t JOIN unnest($1::text[]) AS k(k0) ON t."a" = k.k0;
DELETE FROM "public"."t" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "a" ORDER BY ctid) AS copy FROM "public"."t") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."t" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();
