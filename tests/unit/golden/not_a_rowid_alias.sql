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
