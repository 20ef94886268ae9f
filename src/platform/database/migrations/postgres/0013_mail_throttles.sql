CREATE TABLE "kept_mail" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"address" text,
	"subject" text NOT NULL,
	"sealed_text" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "known_addresses" (
	"key" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "throttles" (
	"key" text PRIMARY KEY NOT NULL,
	"count" bigint NOT NULL,
	"held_until" timestamp (3) with time zone,
	"is_told" boolean NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "pending_since" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "kept_mail_expires_at" ON "kept_mail" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "known_addresses_name" ON "known_addresses" USING btree ("name","expires_at");--> statement-breakpoint
CREATE INDEX "known_addresses_expires_at" ON "known_addresses" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "throttles_expires_at" ON "throttles" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "accounts_pending_since" ON "accounts" USING btree ("pending_since");