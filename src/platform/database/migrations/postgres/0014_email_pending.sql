ALTER TABLE "accounts" ADD COLUMN "email_claimed_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "email_pending" text;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "email_pending_since" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "accounts_email_pending_since" ON "accounts" USING btree ("email_pending_since");