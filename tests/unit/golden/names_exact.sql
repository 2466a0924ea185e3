-- source
CREATE TABLE Users(Id INTEGER PRIMARY KEY AUTOINCREMENT, "E-Mail" TEXT UNIQUE, xmin INT);
CREATE TABLE "Order Details"(OrderId INT, "Line No" INT, UserID INT REFERENCES users(id), Slot INT,
    PRIMARY KEY(OrderId, "Line No"));
CREATE UNIQUE INDEX "One Slot" ON "Order Details"(Slot, abs([Line No])) WHERE Slot > 0 AND "OrderId" <> 0;
CREATE TABLE "2nd/""É"("HTTPServer", "" TEXT);

-- capture of 2nd/"É: rowid, 01745c5de3e0278a
CREATE TRIGGER "_liteferry_1_ai" AFTER INSERT ON "2nd/""É"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."rowid");
END;
CREATE TRIGGER "_liteferry_1_bd" BEFORE DELETE ON "2nd/""É"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."rowid");
END;
CREATE TRIGGER "_liteferry_1_bu" BEFORE UPDATE ON "2nd/""É"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, OLD."rowid");
END;
CREATE TRIGGER "_liteferry_1_au" AFTER UPDATE OF rowid, oid, _rowid_ ON "2nd/""É"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."rowid");
END;
CREATE TRIGGER "_liteferry_1_bn" BEFORE UPDATE OF rowid, oid, _rowid_ ON "2nd/""É"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 1, NEW."rowid");
END;

-- changes
SELECT l.k1, t."rowid", t."HTTPServer", t."" FROM (SELECT DISTINCT k1 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."2nd/""É" AS t ON t."rowid" = l.k1;
-- next page
SELECT * FROM main."2nd/""É" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- capture of Order Details: primary, 8e9e93e4bf696794
CREATE TRIGGER "_liteferry_2_ai" AFTER INSERT ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."OrderId", NEW."Line No");
END;
CREATE TRIGGER "_liteferry_2_bd" BEFORE DELETE ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, OLD."OrderId", OLD."Line No");
END;
CREATE TRIGGER "_liteferry_2_bu" BEFORE UPDATE ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, OLD."OrderId", OLD."Line No");
END;
CREATE TRIGGER "_liteferry_2_au" AFTER UPDATE OF "OrderId", "Line No", rowid, oid, _rowid_ ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."OrderId", NEW."Line No");
END;
CREATE TRIGGER "_liteferry_2_bn" BEFORE UPDATE OF "OrderId", "Line No", rowid, oid, _rowid_ ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."OrderId", NEW."Line No");
END;
CREATE TRIGGER "_liteferry_2_bi" BEFORE INSERT ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) VALUES(julianday('now'), 2, NEW."OrderId", NEW."Line No");
END;
CREATE TRIGGER "_liteferry_2_ri" BEFORE INSERT ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 2, "OrderId", "Line No" FROM "Order Details" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "Order Details" AS "_liteferry_row" WHERE "Slot" COLLATE "BINARY" = NEW."Slot" AND (abs([Line No])) COLLATE "BINARY" = (SELECT abs([Line No]) FROM (SELECT NEW."OrderId" AS "OrderId", NEW."Line No" AS "Line No", NEW."UserID" AS "UserID", NEW."Slot" AS "Slot") AS "Order Details") AND (Slot > 0 AND "OrderId" <> 0)) FROM (SELECT NULL AS "OrderId", NULL AS "Line No", NULL AS "UserID", NULL AS "Slot") AS NEW);
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 2, "OrderId", "Line No" FROM "Order Details" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;
CREATE TRIGGER "_liteferry_2_ru" BEFORE UPDATE ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 2, "OrderId", "Line No" FROM "Order Details" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "Order Details" AS "_liteferry_row" WHERE "Slot" COLLATE "BINARY" = NEW."Slot" AND (abs([Line No])) COLLATE "BINARY" = (SELECT abs([Line No]) FROM (SELECT NEW."OrderId" AS "OrderId", NEW."Line No" AS "Line No", NEW."UserID" AS "UserID", NEW."Slot" AS "Slot") AS "Order Details") AND (Slot > 0 AND "OrderId" <> 0) AND "rowid" <> OLD."rowid") FROM (SELECT NULL AS "OrderId", NULL AS "Line No", NULL AS "UserID", NULL AS "Slot") AS NEW);
END;
CREATE TRIGGER "_liteferry_2_rr" BEFORE UPDATE OF rowid, oid, _rowid_ ON "Order Details"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1, k2) SELECT julianday('now'), 2, "OrderId", "Line No" FROM "Order Details" AS "_liteferry_row" WHERE "rowid" = NEW."rowid";
END;

-- changes
SELECT l.k1, l.k2, t."OrderId", t."Line No", t."UserID", t."Slot" FROM (SELECT DISTINCT k1, k2 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."Order Details" AS t ON t."OrderId" COLLATE "BINARY" = l.k1 AND t."Line No" COLLATE "BINARY" = l.k2;
-- next page
SELECT * FROM main."Order Details" AS t WHERE t."rowid" > ? ORDER BY t."rowid" LIMIT ? OFFSET ?;

-- capture of Users: rowid_alias, 672f10f949bbe50a
CREATE TRIGGER "_liteferry_3_ai" AFTER INSERT ON "Users"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, NEW."Id");
END;
CREATE TRIGGER "_liteferry_3_bd" BEFORE DELETE ON "Users"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, OLD."Id");
END;
CREATE TRIGGER "_liteferry_3_bu" BEFORE UPDATE ON "Users"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, OLD."Id");
END;
CREATE TRIGGER "_liteferry_3_au" AFTER UPDATE OF "Id", rowid, oid, _rowid_ ON "Users"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, NEW."Id");
END;
CREATE TRIGGER "_liteferry_3_bn" BEFORE UPDATE OF "Id", rowid, oid, _rowid_ ON "Users"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) VALUES(julianday('now'), 3, NEW."Id");
END;
CREATE TRIGGER "_liteferry_3_ri" BEFORE INSERT ON "Users"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 3, "Id" FROM "Users" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "Users" AS "_liteferry_row" WHERE "E-Mail" COLLATE "BINARY" = NEW."E-Mail") FROM (SELECT NULL AS "E-Mail") AS NEW);
END;
CREATE TRIGGER "_liteferry_3_ru" BEFORE UPDATE OF "E-Mail" ON "Users"
BEGIN
  INSERT INTO "_liteferry_log"(at, t, k1) SELECT julianday('now'), 3, "Id" FROM "Users" AS "_liteferry_row" WHERE "rowid" = (SELECT (SELECT "rowid" FROM "Users" AS "_liteferry_row" WHERE "E-Mail" COLLATE "BINARY" = NEW."E-Mail" AND "rowid" <> OLD."rowid") FROM (SELECT NULL AS "E-Mail") AS NEW);
END;

-- changes
SELECT l.k1, t."Id", t."E-Mail", t."xmin" FROM (SELECT DISTINCT k1 FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l LEFT JOIN main."Users" AS t ON t."Id" = l.k1;
-- next page
SELECT * FROM main."Users" AS t WHERE t."Id" > ? ORDER BY t."Id" LIMIT ? OFFSET ?;

-- target
-- The target's schema as `liteferry run` would make it; each type with its evidence. It runs as it is, in an
-- empty database, and may be edited first: psql -v ON_ERROR_STOP=1 -1 -f FILE, then `liteferry run --adopt`.
-- Foreign keys and CHECKs are NOT VALID, so that rows which violate them already do not stop the load.
CREATE SCHEMA IF NOT EXISTS "public";
-- renamed: 2nd/"É. is "unnamed" on the target
-- 2nd/"É.HTTPServer: text; no rows
-- 2nd/"É.: text; no rows
CREATE TABLE "public"."2nd/""É" (
    "_liteferry_rowid" bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL,
    "HTTPServer" text,
    "unnamed" text
);
ALTER TABLE "public"."2nd/""É" ADD CONSTRAINT "2nd/""É_liteferry_key" PRIMARY KEY ("_liteferry_rowid");
COMMENT ON COLUMN "public"."2nd/""É"."_liteferry_rowid" IS 'the rowid that SQLite kept: the table has no key of its own';
COMMENT ON COLUMN "public"."2nd/""É"."HTTPServer" IS 'from SQLite without a type';
COMMENT ON COLUMN "public"."2nd/""É"."unnamed" IS 'from SQLite TEXT';
-- Order Details.OrderId: bigint; no rows
-- Order Details.Line No: bigint; no rows
-- Order Details.UserID: bigint; no rows
-- Order Details.Slot: bigint; no rows
CREATE TABLE "public"."Order Details" (
    "OrderId" bigint NOT NULL,
    "Line No" bigint NOT NULL,
    "UserID" bigint,
    "Slot" bigint
);
ALTER TABLE "public"."Order Details" ADD CONSTRAINT "Order Details_pkey" PRIMARY KEY ("OrderId", "Line No");
CREATE UNIQUE INDEX "One Slot" ON "public"."Order Details" ("Slot" NULLS FIRST, (abs("Line No")) NULLS FIRST) WHERE ("Slot" > 0) AND ("OrderId" <> 0);
COMMENT ON COLUMN "public"."Order Details"."OrderId" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."Order Details"."Line No" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."Order Details"."UserID" IS 'from SQLite INT';
COMMENT ON COLUMN "public"."Order Details"."Slot" IS 'from SQLite INT';
-- renamed: Users.xmin is "xmin_" on the target
-- Users.Id: bigint; no rows
-- Users.E-Mail: text; no rows
-- Users.xmin: bigint; no rows
CREATE TABLE "public"."Users" (
    "Id" bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL,
    "E-Mail" text,
    "xmin_" bigint
);
ALTER TABLE "public"."Users" ADD CONSTRAINT "Users_pkey" PRIMARY KEY ("Id");
ALTER TABLE "public"."Users" ADD CONSTRAINT "Users_E-Mail_key" UNIQUE ("E-Mail");
COMMENT ON COLUMN "public"."Users"."Id" IS 'from SQLite INTEGER';
COMMENT ON COLUMN "public"."Users"."E-Mail" IS 'from SQLite TEXT';
COMMENT ON COLUMN "public"."Users"."xmin_" IS 'from SQLite xmin INT';
ALTER TABLE "public"."Order Details" ADD CONSTRAINT "Order Details_UserID_fkey" FOREIGN KEY ("UserID") REFERENCES "public"."Users" ("Id") NOT VALID;
-- not carried: 2nd/"É, column _liteferry_rowid: added: the table has no key of its own

-- applied to 2nd/"É
INSERT INTO "public"."2nd/""É" ("_liteferry_rowid", "HTTPServer", "unnamed") SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) ON CONFLICT ("_liteferry_rowid") DO UPDATE SET "HTTPServer" = EXCLUDED."HTTPServer", "unnamed" = EXCLUDED."unnamed";
DELETE FROM "public"."2nd/""É" AS t USING unnest($1::bigint[]) AS k(k0) WHERE t."_liteferry_rowid" = k.k0;
INSERT INTO "public"."2nd/""É" ("_liteferry_rowid", "HTTPServer", "unnamed") SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]);
SELECT t."_liteferry_rowid", t."HTTPServer", t."unnamed" FROM "public"."2nd/""É" AS t JOIN unnest($1::bigint[]) AS k(k0) ON t."_liteferry_rowid" = k.k0;
DELETE FROM "public"."2nd/""É" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "_liteferry_rowid" ORDER BY ctid) AS copy FROM "public"."2nd/""É") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."2nd/""É" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- applied to Order Details
INSERT INTO "public"."Order Details" ("OrderId", "Line No", "UserID", "Slot") SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) ON CONFLICT ("OrderId", "Line No") DO UPDATE SET "UserID" = EXCLUDED."UserID", "Slot" = EXCLUDED."Slot";
DELETE FROM "public"."Order Details" AS t USING unnest($1::bigint[], $2::bigint[]) AS k(k0, k1) WHERE t."OrderId" = k.k0 AND t."Line No" = k.k1;
INSERT INTO "public"."Order Details" ("OrderId", "Line No", "UserID", "Slot") SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]);
SELECT t."OrderId", t."Line No", t."UserID", t."Slot" FROM "public"."Order Details" AS t JOIN unnest($1::bigint[], $2::bigint[]) AS k(k0, k1) ON t."OrderId" = k.k0 AND t."Line No" = k.k1;
DELETE FROM "public"."Order Details" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "OrderId", "Line No" ORDER BY ctid) AS copy FROM "public"."Order Details") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."Order Details" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- applied to Users
INSERT INTO "public"."Users" ("Id", "E-Mail", "xmin_") SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) ON CONFLICT ("Id") DO UPDATE SET "E-Mail" = EXCLUDED."E-Mail", "xmin_" = EXCLUDED."xmin_";
DELETE FROM "public"."Users" AS t USING unnest($1::bigint[]) AS k(k0) WHERE t."Id" = k.k0;
INSERT INTO "public"."Users" ("Id", "E-Mail", "xmin_") SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]);
SELECT t."Id", t."E-Mail", t."xmin_" FROM "public"."Users" AS t JOIN unnest($1::bigint[]) AS k(k0) ON t."Id" = k.k0;
DELETE FROM "public"."Users" WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY "Id" ORDER BY ctid) AS copy FROM "public"."Users") AS copies WHERE copy > 1);
CREATE TRIGGER liteferry_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "public"."Users" FOR EACH STATEMENT EXECUTE FUNCTION liteferry.guard();

-- the way back of 2nd/"É
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_1"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['_liteferry_rowid']::name[])) <> 1 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 1);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."_liteferry_rowid"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."_liteferry_rowid"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[o."_liteferry_rowid"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 1, ARRAY[n."_liteferry_rowid"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."2nd/""É" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."2nd/""É" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."2nd/""É" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."2nd/""É" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_1"();
ALTER TABLE "public"."2nd/""É" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, t.ctid IS NOT NULL, t."_liteferry_rowid", t."HTTPServer", t."unnamed" FROM (SELECT DISTINCT (key[1])::bigint AS k0 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."2nd/""É" AS t ON t."_liteferry_rowid" = l.k0;
SELECT t."_liteferry_rowid", t."HTTPServer", t."unnamed" FROM "public"."2nd/""É" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."_liteferry_rowid"::text], encode(sha256(convert_to(ARRAY[t."_liteferry_rowid"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[]) AS r(c, w, k0) JOIN "public"."2nd/""É" AS t ON t."_liteferry_rowid" = r.k0 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text] FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place);
SELECT k.place FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text]::text, 'UTF8')), 'hex'));

-- the way back of Order Details
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_2"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['OrderId', 'Line No']::name[])) <> 2 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 2);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[n."OrderId"::text, n."Line No"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[o."OrderId"::text, o."Line No"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[o."OrderId"::text, o."Line No"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 2, ARRAY[n."OrderId"::text, n."Line No"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."Order Details" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."Order Details" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."Order Details" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."Order Details" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_2"();
ALTER TABLE "public"."Order Details" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, l.k1, t.ctid IS NOT NULL, t."OrderId", t."Line No", t."UserID", t."Slot" FROM (SELECT DISTINCT (key[1])::bigint AS k0, (key[2])::bigint AS k1 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."Order Details" AS t ON t."OrderId" = l.k0 AND t."Line No" = l.k1;
SELECT t."OrderId", t."Line No", t."UserID", t."Slot" FROM "public"."Order Details" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."OrderId"::text, t."Line No"::text], encode(sha256(convert_to(ARRAY[t."OrderId"::text, t."Line No"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[]) AS r(c, w, k0, k1) JOIN "public"."Order Details" AS t ON t."OrderId" = r.k0 AND t."Line No" = r.k1 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text, k.k1::text] FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS k(k0, k1, place);
SELECT k.place FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS k(k0, k1, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text, k.k1::text]::text, 'UTF8')), 'hex'));

-- the way back of Users
CREATE OR REPLACE FUNCTION liteferry."back_123456789abc_3"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO'
    SET extra_float_digits = 3
    SET bytea_output = 'hex'
    SET "TimeZone" = 'UTC'
AS $liteferry$
BEGIN
    IF TG_OP = 'TRUNCATE' OR (SELECT count(*) FROM pg_attribute WHERE attrelid = TG_RELID AND NOT attisdropped AND attname = ANY(ARRAY['Id']::name[])) <> 1 THEN
        INSERT INTO liteferry.back_log (source_id, table_id) VALUES ('12345678-9abc-def0-1234-56789abcdef0'::uuid, 3);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[n."Id"::text] FROM liteferry_new AS n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[o."Id"::text] FROM liteferry_old AS o;
    ELSE
        INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[o."Id"::text] FROM liteferry_old AS o UNION SELECT '12345678-9abc-def0-1234-56789abcdef0'::uuid, 3, ARRAY[n."Id"::text] FROM liteferry_new AS n;
    END IF;
    RETURN NULL;
END $liteferry$;
CREATE TRIGGER liteferry_back_i AFTER INSERT ON "public"."Users" REFERENCING NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
CREATE TRIGGER liteferry_back_u AFTER UPDATE ON "public"."Users" REFERENCING OLD TABLE AS liteferry_old NEW TABLE AS liteferry_new FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
CREATE TRIGGER liteferry_back_d AFTER DELETE ON "public"."Users" REFERENCING OLD TABLE AS liteferry_old FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
CREATE TRIGGER liteferry_back_t BEFORE TRUNCATE ON "public"."Users" FOR EACH STATEMENT EXECUTE FUNCTION liteferry."back_123456789abc_3"();
ALTER TABLE "public"."Users" ENABLE ALWAYS TRIGGER liteferry_back_i, ENABLE ALWAYS TRIGGER liteferry_back_u, ENABLE ALWAYS TRIGGER liteferry_back_d, ENABLE ALWAYS TRIGGER liteferry_back_t;
SELECT l.k0, t.ctid IS NOT NULL, t."Id", t."E-Mail", t."xmin_" FROM (SELECT DISTINCT (key[1])::bigint AS k0 FROM liteferry.back_log WHERE source_id = $1 AND table_id = $2 AND key IS NOT NULL) AS l LEFT JOIN "public"."Users" AS t ON t."Id" = l.k0;
SELECT t."Id", t."E-Mail", t."xmin_" FROM "public"."Users" AS t;
INSERT INTO liteferry.back_quarantine (source_id, table_id, key, key_hash, row, column_name, reason) SELECT $1, $2, ARRAY[t."Id"::text], encode(sha256(convert_to(ARRAY[t."Id"::text]::text, 'UTF8')), 'hex'), to_jsonb(t), r.c, r.w FROM unnest($3::text[], $4::text[], $5::bigint[]) AS r(c, w, k0) JOIN "public"."Users" AS t ON t."Id" = r.k0 ON CONFLICT (source_id, table_id, key_hash) DO UPDATE SET accepted = back_quarantine.accepted AND back_quarantine.row = EXCLUDED.row, row = EXCLUDED.row, column_name = EXCLUDED.column_name, reason = EXCLUDED.reason, seen_at = now();
INSERT INTO liteferry.back_log (source_id, table_id, key) SELECT $1, $2, ARRAY[k.k0::text] FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place);
SELECT k.place FROM unnest($3::bigint[]) WITH ORDINALITY AS k(k0, place) WHERE EXISTS (SELECT FROM liteferry.back_quarantine AS q WHERE q.source_id = $1 AND q.table_id = $2 AND q.key_hash = encode(sha256(convert_to(ARRAY[k.k0::text]::text, 'UTF8')), 'hex'));
