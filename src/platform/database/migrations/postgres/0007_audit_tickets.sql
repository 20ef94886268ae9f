CREATE TABLE "audit" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"time" timestamp (3) with time zone NOT NULL,
	"actor_id" text,
	"actor_name" text,
	"subject_id" text,
	"address" text,
	"outcome" text NOT NULL,
	"details" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tickets" (
	"hash" text PRIMARY KEY NOT NULL,
	"purpose" text NOT NULL,
	"account_id" text,
	"data" jsonb NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "audit_type" ON "audit" USING btree ("type","id");--> statement-breakpoint
CREATE INDEX "audit_actor_id" ON "audit" USING btree ("actor_id","id");--> statement-breakpoint
CREATE INDEX "audit_subject_id" ON "audit" USING btree ("subject_id","id");--> statement-breakpoint
CREATE INDEX "audit_time" ON "audit" USING btree ("time");--> statement-breakpoint
CREATE INDEX "tickets_account_id" ON "tickets" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "tickets_expires_at" ON "tickets" USING btree ("expires_at");--> statement-breakpoint
CREATE FUNCTION "audit_unchanged"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'audit entries are never changed'; END; $$;
--> statement-breakpoint
CREATE TRIGGER "audit_unchanged" BEFORE UPDATE ON "audit" FOR EACH ROW EXECUTE FUNCTION "audit_unchanged"();
