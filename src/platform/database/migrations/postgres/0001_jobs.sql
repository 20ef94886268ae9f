CREATE TABLE "jobs" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"state" text NOT NULL,
	"priority" bigint NOT NULL,
	"key" text,
	"payload" jsonb NOT NULL,
	"result" jsonb,
	"error" text,
	"progress" double precision NOT NULL,
	"attempt" bigint NOT NULL,
	"attempts_max" bigint NOT NULL,
	"owner_id" text,
	"worker" text,
	"lease_until" timestamp (3) with time zone,
	"is_cancel_requested" boolean NOT NULL,
	"traceparent" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"run_at" timestamp (3) with time zone NOT NULL,
	"started_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	"expires_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "job_schedules" (
	"name" text PRIMARY KEY NOT NULL,
	"last_slot" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_key" ON "jobs" USING btree ("key");--> statement-breakpoint
CREATE INDEX "jobs_claim" ON "jobs" USING btree ("state","priority","run_at");--> statement-breakpoint
CREATE INDEX "jobs_owner" ON "jobs" USING btree ("owner_id","id");--> statement-breakpoint
CREATE INDEX "jobs_expires_at" ON "jobs" USING btree ("expires_at");