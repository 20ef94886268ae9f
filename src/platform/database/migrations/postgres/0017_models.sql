CREATE TABLE "adopted_models" (
	"digest" text PRIMARY KEY NOT NULL,
	"model_name" text NOT NULL,
	"adopted_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "model_versions" (
	"id" text PRIMARY KEY NOT NULL,
	"model_name" text NOT NULL,
	"version" bigint NOT NULL,
	"manifest" jsonb NOT NULL,
	"digest" text NOT NULL,
	"bytes" bigint NOT NULL,
	"examples" bigint NOT NULL,
	"created_by" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"predicted_rows" bigint NOT NULL,
	"used_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "models" (
	"name" text PRIMARY KEY NOT NULL,
	"is_loaded" boolean NOT NULL,
	"traffic" jsonb NOT NULL,
	"last_version" bigint NOT NULL,
	"revision" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "adopted_models_name" ON "adopted_models" USING btree ("model_name");--> statement-breakpoint
CREATE UNIQUE INDEX "model_versions_number" ON "model_versions" USING btree ("model_name","version");