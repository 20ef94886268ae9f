ALTER TABLE "sessions" ADD COLUMN "cookie_hash" text;--> statement-breakpoint
CREATE UNIQUE INDEX "sessions_cookie_hash" ON "sessions" USING btree ("cookie_hash");