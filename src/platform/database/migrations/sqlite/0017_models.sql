CREATE TABLE `adopted_models` (
	`digest` text PRIMARY KEY NOT NULL,
	`model_name` text NOT NULL,
	`adopted_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `adopted_models_name` ON `adopted_models` (`model_name`);--> statement-breakpoint
CREATE TABLE `model_versions` (
	`id` text PRIMARY KEY NOT NULL,
	`model_name` text NOT NULL,
	`version` integer NOT NULL,
	`manifest` text NOT NULL,
	`digest` text NOT NULL,
	`bytes` integer NOT NULL,
	`examples` integer NOT NULL,
	`created_by` text,
	`created_at` integer NOT NULL,
	`predicted_rows` integer NOT NULL,
	`used_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `model_versions_number` ON `model_versions` (`model_name`,`version`);--> statement-breakpoint
CREATE TABLE `models` (
	`name` text PRIMARY KEY NOT NULL,
	`is_loaded` integer NOT NULL,
	`traffic` text NOT NULL,
	`last_version` integer NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
