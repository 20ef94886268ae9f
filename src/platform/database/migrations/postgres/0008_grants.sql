CREATE TABLE "grants" (
	"kind" text NOT NULL,
	"resource_id" text NOT NULL,
	"principal_id" text NOT NULL,
	"access" text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX "grants_resource" ON "grants" USING btree ("kind","resource_id","principal_id");--> statement-breakpoint
CREATE UNIQUE INDEX "grants_owner" ON "grants" USING btree ("kind","resource_id") WHERE access = 'own';--> statement-breakpoint
CREATE INDEX "grants_principal" ON "grants" USING btree ("principal_id","kind","resource_id");