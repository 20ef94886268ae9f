CREATE TABLE `dataset_files` (
	`id` text PRIMARY KEY NOT NULL,
	`dataset_name` text NOT NULL,
	`bytes` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `dataset_files_name` ON `dataset_files` (`dataset_name`);--> statement-breakpoint
CREATE TABLE `dataset_versions` (
	`id` text PRIMARY KEY NOT NULL,
	`dataset_name` text NOT NULL,
	`version` integer NOT NULL,
	`origin` text NOT NULL,
	`columns` text NOT NULL,
	`rows` integer NOT NULL,
	`bytes` integer NOT NULL,
	`files` text NOT NULL,
	`rejected_rows` integer NOT NULL,
	`rejected` text NOT NULL,
	`created_by` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `dataset_versions_number` ON `dataset_versions` (`dataset_name`,`version`);--> statement-breakpoint
CREATE TABLE `datasets` (
	`name` text PRIMARY KEY NOT NULL,
	`description` text NOT NULL,
	`versions_kept` integer,
	`last_version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
