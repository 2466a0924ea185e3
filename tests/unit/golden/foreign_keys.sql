-- source
CREATE TABLE a(id INTEGER PRIMARY KEY, up INT REFERENCES a(id) ON DELETE SET NULL);
CREATE TABLE b(x INT, y INT, z INT REFERENCES gone(id), PRIMARY KEY(x, y));
CREATE TABLE c(id TEXT PRIMARY KEY, x INT, y INT, a INT REFERENCES a ON UPDATE CASCADE, FOREIGN KEY(x, y) REFERENCES b ON DELETE CASCADE ON UPDATE SET DEFAULT);

-- capture of a: rowid_alias, 8aeea8bee12ba03f
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "a"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."id");
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "a"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."id");
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "a"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."id");
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF "id", rowid, oid, _rowid_ ON "a"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."id");
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF "id", rowid, oid, _rowid_ ON "a"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."id");
END;

-- changes
SELECT l.k1, t."id", t."up" FROM (SELECT DISTINCT k1 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."a" AS t ON t."id" = l.k1;
-- next page
SELECT * FROM main."a" AS t WHERE t."id" > ? ORDER BY t."id" LIMIT ? OFFSET ?;

-- capture of b: primary, fbadebeb3f6f25d5
CREATE TRIGGER "_liteferry_2_ai" AFTER INSERT ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."x", NEW."y");
END;
CREATE TRIGGER "_liteferry_2_bd" BEFORE DELETE ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, OLD."x", OLD."y");
END;
CREATE TRIGGER "_liteferry_2_bu" BEFORE UPDATE ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, OLD."x", OLD."y");
END;
CREATE TRIGGER "_liteferry_2_au" AFTER UPDATE OF "x", "y", rowid, oid, _rowid_ ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."x", NEW."y");
END;
CREATE TRIGGER "_liteferry_2_bn" BEFORE UPDATE OF "x", "y", rowid, oid, _rowid_ ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."x", NEW."y");
END;
CREATE TRIGGER "_liteferry_2_bi" BEFORE INSERT ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."x", NEW."y");
END;
CREATE TRIGGER "_liteferry_2_ri" BEFORE INSERT ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 2, "x", "y" FROM "b" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;
CREATE TRIGGER "_liteferry_2_rr" BEFORE UPDATE OF rowid, oid, _rowid_ ON "b"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 2, "x", "y" FROM "b" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;

-- changes
SELECT l.k1, l.k2, t."x", t."y", t."z" FROM (SELECT DISTINCT k1, k2 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."b" AS t ON t."x" COLLATE "BINARY" = l.k1 AND t."y" COLLATE "BINARY" = l.k2;
-- next page
SELECT * FROM main."b" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- capture of c: primary, f5b07502a147f8fa
CREATE TRIGGER "_liteferry_3_ai" AFTER INSERT ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, NEW."id");
END;
CREATE TRIGGER "_liteferry_3_bd" BEFORE DELETE ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, OLD."id");
END;
CREATE TRIGGER "_liteferry_3_bu" BEFORE UPDATE ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, OLD."id");
END;
CREATE TRIGGER "_liteferry_3_au" AFTER UPDATE OF "id", rowid, oid, _rowid_ ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, NEW."id");
END;
CREATE TRIGGER "_liteferry_3_bn" BEFORE UPDATE OF "id", rowid, oid, _rowid_ ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, NEW."id");
END;
CREATE TRIGGER "_liteferry_3_bi" BEFORE INSERT ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, NEW."id");
END;
CREATE TRIGGER "_liteferry_3_ri" BEFORE INSERT ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 3, "id" FROM "c" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;
CREATE TRIGGER "_liteferry_3_rr" BEFORE UPDATE OF rowid, oid, _rowid_ ON "c"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 3, "id" FROM "c" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;

-- changes
SELECT l.k1, t."id", t."x", t."y", t."a" FROM (SELECT DISTINCT k1 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."c" AS t ON t."id" COLLATE "BINARY" = l.k1;
-- next page
SELECT * FROM main."c" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- a.id: bigint; no rows
-- a.up: bigint; no rows
CREATE TABLE "public"."a" (
    "id" bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL,
    "up" bigint
);
ALTER TABLE "public"."a" ADD CONSTRAINT "a_pkey" PRIMARY KEY ("id");
COMMENT ON COLUMN "public"."a"."id" IS 'from SQLite INTEGER';
COMMENT ON COLUMN "public"."a"."up" IS 'from SQLite INT';
-- b.x: bigint; no rows
-- b.y: bigint; no rows
-- b.z: bigint; no rows
CREATE TABLE "public"."b" (
    "x" bigint NOT NULL,
    "y" bigint NOT NULL,
    "z" bigint
);
ALTER TABLE "public"."b" ADD CONSTRAINT "b_pkey" PRIMARY KEY ("x", "y");
COMMENT ON COLUMN "public"."b"."x" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."b"."y" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."b"."z" IS 'from SQLite INT';
-- c.id: text; no rows
-- c.x: bigint; no rows
-- c.y: bigint; no rows
-- c.a: bigint; no rows
CREATE TABLE "public"."c" (
    "id" text NOT NULL,
    "x" bigint,
    "y" bigint,
    "a" bigint
);
ALTER TABLE "public"."c" ADD CONSTRAINT "c_pkey" PRIMARY KEY ("id");
COMMENT ON COLUMN "public"."c"."id" IS 'from SQLite TEXT';
COMMENT ON COLUMN "public"."c"."x" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."c"."y" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."c"."a" IS 'from SQLite INT';
ALTER TABLE "public"."a" ADD CONSTRAINT "a_up_fkey" FOREIGN KEY ("up") REFERENCES "public"."a" ("id") ON DELETE SET NULL NOT VALID;
ALTER TABLE "public"."c" ADD CONSTRAINT "c_x_y_fkey" FOREIGN KEY ("x", "y") REFERENCES "public"."b" ("x", "y") ON DELETE CASCADE ON UPDATE SET DEFAULT NOT VALID;
ALTER TABLE "public"."c" ADD CONSTRAINT "c_a_fkey" FOREIGN KEY ("a") REFERENCES "public"."a" ("id") ON UPDATE CASCADE NOT VALID;
-- not carried: b, foreign key (z): refers to 'gone', which is not replicated

-- applied to a
INSERT INTO "public"."a" ("id", "up") SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT ("id") DO UPDATE SET "up" = EXCLUDED."up";
DELETE FROM "public"."a" AS t USING unnest($1::bigint[]) AS k(k0) WHERE t."id" = k.k0;
INSERT INTO "public"."a" ("id", "up") SELECT * FROM unnest($1::bigint[], $2::bigint[]);
SELECT t."id", t."up" FROM "public"."a" AS t JOIN unnest($1::bigint[]) AS k(k0) ON t."id" = k.k0;
DELETE FROM "public"."a" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "id" ORDER BY ctid) AS copy FROM "public"."a") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."a" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- applied to b
INSERT INTO "public"."b" ("x", "y", "z") SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) ON CONFLICT ("x", "y") DO UPDATE SET "z" = EXCLUDED."z";
DELETE FROM "public"."b" AS t USING unnest($1::bigint[], $2::bigint[]) AS k(k0, k1) WHERE t."x" = k.k0 AND t."y" = k.k1;
INSERT INTO "public"."b" ("x", "y", "z") SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]);
SELECT t."x", t."y", t."z" FROM "public"."b" AS t JOIN unnest($1::bigint[], $2::bigint[]) AS k(k0, k1) ON t."x" = k.k0 AND t."y" = k.k1;
DELETE FROM "public"."b" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "x", "y" ORDER BY ctid) AS copy FROM "public"."b") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."b" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- applied to c
INSERT INTO "public"."c" ("id", "x", "y", "a") SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) ON CONFLICT ("id") DO UPDATE SET "x" = EXCLUDED."x", "y" = EXCLUDED."y", "a" = EXCLUDED."a";
DELETE FROM "public"."c" AS t USING unnest($1::text[]) AS k(k0) WHERE t."id" = k.k0;
INSERT INTO "public"."c" ("id", "x", "y", "a") SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]);
SELECT t."id", t."x", t."y", t."a" FROM "public"."c" AS t JOIN unnest($1::text[]) AS k(k0) ON t."id" = k.k0;
DELETE FROM "public"."c" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "id" ORDER BY ctid) AS copy FROM "public"."c") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."c" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- the way back of a
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
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."a" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."a" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."a" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."a" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."a" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, t.ctid IS NOT NULL, t."id", t."up" FROM (SELECT DISTINCT (key[1])::bigint AS k0 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."a" AS t ON t."id" = l.k0;
SELECT t."id", t."up" FROM "public"."a" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."id"::text], encode(sha256(convert_to(ARRAY[t."id"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[]) AS r(c, w, k0) JOIN "public"."a" AS t ON t."id" = r.k0 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text] FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place);
SELECT k.place FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text]::text, 'UTF8')), 'hex'));

-- the way back of b
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_2"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['x', 'y']::name[])) <> 2 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 2);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[n."x"::text, n."y"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[o."x"::text, o."y"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[o."x"::text, o."y"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[n."x"::text, n."y"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."b" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."b" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."b" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."b" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
ALTER TABLE "public"."b" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, l.k1, t.ctid IS NOT NULL, t."x", t."y", t."z" FROM (SELECT DISTINCT (key[1])::bigint AS k0, (key[2])::bigint AS k1 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."b" AS t ON t."x" = l.k0 AND t."y" = l.k1;
SELECT t."x", t."y", t."z" FROM "public"."b" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."x"::text, t."y"::text], encode(sha256(convert_to(ARRAY[t."x"::text, t."y"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[]) AS r(c, w, k0, k1) JOIN "public"."b" AS t ON t."x" = r.k0 AND t."y" = r.k1 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text, k.k1::text] FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS k(k0, k1, place);
SELECT k.place FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS k(k0, k1, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text, k.k1::text]::text, 'UTF8')), 'hex'));

-- the way back of c
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_3"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['id']::name[])) <> 1 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 3);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[n."id"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[o."id"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[o."id"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[n."id"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."c" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."c" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."c" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."c" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
ALTER TABLE "public"."c" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, t.ctid IS NOT NULL, t."id", t."x", t."y", t."a" FROM (SELECT DISTINCT (key[1])::text AS k0 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."c" AS t ON t."id" = l.k0;
SELECT t."id", t."x", t."y", t."a" FROM "public"."c" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."id"::text], encode(sha256(convert_to(ARRAY[t."id"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::text[]) AS r(c, w, k0) JOIN "public"."c" AS t ON t."id" = r.k0 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text] FROM unnest($3::text[]) WITH ORDINALITY AS k(k0, place);
SELECT k.place FROM unnest($3::text[]) WITH ORDINALITY AS k(k0, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text]::text, 'UTF8')), 'hex'));
