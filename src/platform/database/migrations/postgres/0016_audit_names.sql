ALTER TABLE "audit" ADD COLUMN "actor_kind" text;--> statement-breakpoint
ALTER TABLE "audit" ADD COLUMN "subject_name" text;