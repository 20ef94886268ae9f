CREATE TABLE "dataset_files" (
	"id" text PRIMARY KEY NOT NULL,
	"dataset_name" text NOT NULL,
	"bytes" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "dataset_versions" (
	"id" text PRIMARY KEY NOT NULL,
	"dataset_name" text NOT NULL,
	"version" bigint NOT NULL,
	"origin" text NOT NULL,
	"columns" jsonb NOT NULL,
	"rows" bigint NOT NULL,
	"bytes" bigint NOT NULL,
	"files" jsonb NOT NULL,
	"rejected_rows" bigint NOT NULL,
	"rejected" jsonb NOT NULL,
	"created_by" text,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "datasets" (
	"name" text PRIMARY KEY NOT NULL,
	"description" text NOT NULL,
	"versions_kept" bigint,
	"last_version" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "dataset_files_name" ON "dataset_files" USING btree ("dataset_name");--> statement-breakpoint
CREATE UNIQUE INDEX "dataset_versions_number" ON "dataset_versions" USING btree ("dataset_name","version");