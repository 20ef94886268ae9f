CREATE FUNCTION "audit_kept"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'TRUNCATE' OR OLD."time" > (SELECT "time" FROM "audit" ORDER BY "id" DESC LIMIT 1) - interval '1 day' THEN RAISE EXCEPTION 'audit entries are kept for a day at least'; END IF; RETURN OLD; END; $$;
--> statement-breakpoint
CREATE TRIGGER "audit_kept" BEFORE DELETE ON "audit" FOR EACH ROW EXECUTE FUNCTION "audit_kept"();
--> statement-breakpoint
CREATE TRIGGER "audit_not_emptied" BEFORE TRUNCATE ON "audit" FOR EACH STATEMENT EXECUTE FUNCTION "audit_kept"();
