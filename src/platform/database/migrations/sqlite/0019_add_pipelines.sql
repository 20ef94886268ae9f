CREATE TABLE `pipeline_runs` (
	`id` text PRIMARY KEY NOT NULL,
	`pipeline_name` text NOT NULL,
	`version` integer NOT NULL,
	`trigger` text NOT NULL,
	`parameters` text NOT NULL,
	`started_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer,
	`rows` integer,
	`dataset` text,
	`dataset_version` integer,
	`error` text
);
--> statement-breakpoint
CREATE INDEX `pipeline_runs_name` ON `pipeline_runs` (`pipeline_name`,`id`);--> statement-breakpoint
CREATE INDEX `pipeline_runs_created` ON `pipeline_runs` (`created_at`);--> statement-breakpoint
CREATE TABLE `pipeline_versions` (
	`id` text PRIMARY KEY NOT NULL,
	`pipeline_name` text NOT NULL,
	`version` integer NOT NULL,
	`definition` text NOT NULL,
	`parameters` text NOT NULL,
	`output` text,
	`created_by` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `pipeline_versions_number` ON `pipeline_versions` (`pipeline_name`,`version`);--> statement-breakpoint
CREATE TABLE `pipelines` (
	`name` text PRIMARY KEY NOT NULL,
	`description` text NOT NULL,
	`last_version` integer NOT NULL,
	`schedule` text,
	`due_at` integer,
	`endpoint` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `pipelines_due` ON `pipelines` (`due_at`);