CREATE TABLE "pipeline_runs" (
	"id" text PRIMARY KEY NOT NULL,
	"pipeline_name" text NOT NULL,
	"version" bigint NOT NULL,
	"trigger" text NOT NULL,
	"parameters" jsonb NOT NULL,
	"started_by" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"started_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	"rows" bigint,
	"dataset" text,
	"dataset_version" bigint,
	"error" text
);
--> statement-breakpoint
CREATE TABLE "pipeline_versions" (
	"id" text PRIMARY KEY NOT NULL,
	"pipeline_name" text NOT NULL,
	"version" bigint NOT NULL,
	"definition" jsonb NOT NULL,
	"parameters" jsonb NOT NULL,
	"output" jsonb,
	"created_by" text,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "pipelines" (
	"name" text PRIMARY KEY NOT NULL,
	"description" text NOT NULL,
	"last_version" bigint NOT NULL,
	"schedule" text,
	"due_at" timestamp (3) with time zone,
	"endpoint" jsonb,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "pipeline_runs_name" ON "pipeline_runs" USING btree ("pipeline_name","id");--> statement-breakpoint
CREATE INDEX "pipeline_runs_created" ON "pipeline_runs" USING btree ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "pipeline_versions_number" ON "pipeline_versions" USING btree ("pipeline_name","version");--> statement-breakpoint
CREATE INDEX "pipelines_due" ON "pipelines" USING btree ("due_at");